import { afSplit } from './anti-forensic.ts'
import { encodeLuksHeader } from './encode-header.ts'
import type { LuksHeader, LuksKeyslot } from './header.ts'
import { keyslotCipher } from './keyslot-cipher.ts'
import { SALT_BYTES, materialBytes } from './layout.ts'
import type { LuksIo } from './luks-io.ts'
import { randomBytes } from './random-bytes.ts'

/** What goes into a slot. @internal */
export interface KeyslotContent {
  readonly masterKey: Uint8Array
  readonly passphrase: Uint8Array
  readonly iterations: number
}

/**
 * Puts a master key under a passphrase into a slot: first its material, then the header that activates it.
 *
 * @returns the new header
 * @internal
 */
export async function storeKeyslot(io: LuksIo, header: LuksHeader, index: number, content: KeyslotContent): Promise<LuksHeader> {
  const { encryption, keyBytes } = header
  const slot: LuksKeyslot = { ...header.keyslots[index]!, active: true, iterations: content.iterations, salt: randomBytes(SALT_BYTES) }
  const cipher = await keyslotCipher(encryption, keyBytes, slot, content.passphrase)
  const material = new Uint8Array(materialBytes(keyBytes))
  material.set(await afSplit(content.masterKey, encryption.hashAlg))
  cipher.encryptSectors(material, 0)
  await io.write(slot.keyOffset, material)
  await io.flush()
  return storeHeader(io, { ...header, keyslots: header.keyslots.with(index, slot) })
}

/**
 * Makes slots useless: first the header, for all of them at once, then random bytes over their material.
 *
 * @returns the new header
 * @internal
 */
export async function eraseKeyslots(io: LuksIo, header: LuksHeader, indexes: readonly number[]): Promise<LuksHeader> {
  const keyslots = header.keyslots.map((slot, index) => (indexes.includes(index) ? { ...slot, active: false, iterations: 0, salt: new Uint8Array(SALT_BYTES) } : slot))
  const erased = await storeHeader(io, { ...header, keyslots })
  for (const index of indexes) await io.write(keyslots[index]!.keyOffset, randomBytes(materialBytes(header.keyBytes)))
  await io.flush()
  return erased
}

async function storeHeader(io: LuksIo, header: LuksHeader): Promise<LuksHeader> {
  await io.write(0, encodeLuksHeader(header))
  await io.flush()
  return header
}
