import { pbkdf2 } from '@blockloom/block-crypto/ciphers'
import { createSectorCipher } from '../sectors/create-sector-cipher.ts'
import type { SectorCipher } from '../sectors/sector-cipher.ts'
import type { LuksEncryption } from './encryption.ts'
import type { LuksKeyslot } from './header.ts'
import { LUKS_SECTOR } from './layout.ts'

/** The cipher of a volume's data under a master key. @internal */
export function volumeCipher(encryption: LuksEncryption, key: Uint8Array): Promise<SectorCipher> {
  const { cipherMode: mode, ivgenAlg, ivgenHashAlg } = encryption
  return createSectorCipher({ mode, key, ivGenerator: ivgenAlg, ivHash: ivgenHashAlg, sectorSize: LUKS_SECTOR })
}

/** The cipher of a slot's material, which is a volume of its own under a key from the passphrase. @internal */
export async function keyslotCipher(encryption: LuksEncryption, keyBytes: number, slot: LuksKeyslot, passphrase: Uint8Array): Promise<SectorCipher> {
  const derived = await pbkdf2(encryption.hashAlg, passphrase, slot.salt, slot.iterations, keyBytes)
  try {
    return await volumeCipher(encryption, derived)
  } finally {
    derived.fill(0)
  }
}
