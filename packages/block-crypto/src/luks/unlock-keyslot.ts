import { pbkdf2 } from '@blockloom/block-crypto/ciphers'
import { BlockError } from '@blockloom/block-driver'
import { afMerge } from './anti-forensic.ts'
import type { LuksHeader } from './header.ts'
import { keyslotCipher } from './keyslot-cipher.ts'
import { MASTER_DIGEST_BYTES, materialBytes } from './layout.ts'
import { type UnlockLimits, checkIterations } from './limits.ts'
import type { LuksReader } from './luks-io.ts'

/** A master key and the slot that gave it. @internal */
export interface Unlocked {
  readonly masterKey: Uint8Array
  readonly keyslot: number
}

/**
 * Tries a passphrase on one slot.
 *
 * @returns the master key; `null` if the slot is inactive or holds another passphrase
 * @internal
 */
export async function unlockKeyslot(io: LuksReader, header: LuksHeader, index: number, passphrase: Uint8Array, limits: UnlockLimits): Promise<Uint8Array | null> {
  const slot = header.keyslots[index]!
  if (!slot.active) return null
  limits.signal?.throwIfAborted()
  checkIterations(`Keyslot ${index}`, slot.iterations, limits)
  checkIterations('LUKS key', header.masterKeyIterations, limits)
  const { encryption, keyBytes } = header
  const cipher = await keyslotCipher(encryption, keyBytes, slot, passphrase)
  const material = new Uint8Array(materialBytes(keyBytes))
  await io.read(slot.keyOffset, material)
  cipher.decryptSectors(material, 0)
  const key = await afMerge(material, keyBytes, encryption.hashAlg)
  material.fill(0)
  return (await matches(header, key)) ? key : null
}

/**
 * Tries a passphrase on all active slots, in order.
 *
 * @throws BlockError `denied` (EPERM) if none has it
 * @internal
 */
export async function unlock(io: LuksReader, header: LuksHeader, passphrase: Uint8Array, limits: UnlockLimits): Promise<Unlocked> {
  for (const keyslot of header.keyslots.keys()) {
    const masterKey = await unlockKeyslot(io, header, keyslot, passphrase, limits)
    if (masterKey !== null) return { masterKey, keyslot }
  }
  throw new BlockError('denied', 'Invalid password, cannot unlock any keyslot', { errno: 'EPERM' })
}

async function matches(header: LuksHeader, key: Uint8Array): Promise<boolean> {
  const found = await pbkdf2(header.encryption.hashAlg, key, header.masterKeySalt, header.masterKeyIterations, MASTER_DIGEST_BYTES)
  return found.every((byte, index) => byte === header.masterKeyDigest[index])
}
