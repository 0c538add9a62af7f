/**
 * Encryption of disk images, for format drivers and tools: ciphers over whole requests of sectors, LUKS1 headers and
 * keyslots, the old AES of qcow and qcow2, and secrets as QEMU's command lines define them.
 *
 * The ciphers underneath, AES on blocks, hashes and PBKDF2, are in `@blockloom/block-crypto/ciphers`.
 *
 * @example Make a LUKS volume in memory and read it again
 * ```ts
 * import { createLuks, luksPayloadOffset, openLuks } from '@blockloom/block-crypto'
 *
 * const disk = new Uint8Array(luksPayloadOffset() + 65536)
 * const io = {
 *   read: async (offset: number, into: Uint8Array) => into.set(disk.subarray(offset, offset + into.length)),
 *   write: async (offset: number, from: Uint8Array) => disk.set(from, offset),
 *   flush: async () => {},
 * }
 * const passphrase = new TextEncoder().encode('correct horse')
 * await createLuks({ io, passphrase, options: { iterTime: 10 }, now: () => performance.now() })
 *
 * const { cipher, header } = await openLuks(io, passphrase)
 * const data = disk.subarray(header.payloadOffset)
 * cipher.encryptSectors(data, 0)
 * cipher.decryptSectors(data, 0)
 * ```
 *
 * @packageDocumentation
 */
export type { HashName } from './ciphers/hash-name.ts'
export type { SectorCipher } from './sectors/sector-cipher.ts'
export type { IvGeneratorName } from './sectors/iv-generator.ts'
export { createSectorCipher } from './sectors/create-sector-cipher.ts'
export type { CipherModeName, SectorCipherInit } from './sectors/create-sector-cipher.ts'
export { qcowAesCipher } from './qcow-aes.ts'

export { LUKS_HEADER_BYTES, LUKS_SECTOR } from './luks/layout.ts'
export type { CipherAlgName } from './luks/names.ts'
export type { LuksEncryption } from './luks/encryption.ts'
export type { LuksHeader, LuksKeyslot } from './luks/header.ts'
export { decodeLuksHeader, isLuksHeader } from './luks/decode-header.ts'
export { encodeLuksHeader } from './luks/encode-header.ts'
export type { LuksIo, LuksReader } from './luks/luks-io.ts'
export { DEFAULT_MAX_ITERATIONS } from './luks/limits.ts'
export type { UnlockLimits } from './luks/limits.ts'
export { openLuks, readLuksHeader } from './luks/open.ts'
export type { LuksVolume } from './luks/open.ts'
export { createLuks, luksPayloadOffset } from './luks/create.ts'
export type { LuksCreateInit, LuksCreateOptions } from './luks/create.ts'
export { amendLuks } from './luks/amend.ts'
export type { LuksAmendInit, LuksAmendOptions } from './luks/amend.ts'
export { luksInfo } from './luks/info.ts'
export type { LuksInfo, LuksSlotInfo } from './luks/info.ts'

export { resolveSecret, resolveSecretSync } from './secrets/resolve-secret.ts'
export type { ReadSecretFile, SecretDefinition } from './secrets/resolve-secret.ts'
export { checkPassphrase } from './secrets/check-passphrase.ts'
