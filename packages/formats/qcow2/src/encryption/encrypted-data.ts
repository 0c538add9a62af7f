import type { ChildHandle } from '@blockloom/block-driver'
import type { DataCipher } from './data-cipher.ts'

/** Zeroes are encrypted in pieces of this many bytes. */
const ZERO_PIECE = 1024 * 1024

/** Reads encrypted guest data into `into`, whole sectors. @internal */
export async function readEncrypted(file: ChildHandle, cipher: DataCipher, guest: number, host: number, into: Uint8Array): Promise<void> {
  await file.read(host, into)
  await cipher.decrypt(into, guest, host)
}

/** Encrypts a copy of `from`, which stays as it is, and writes it. @internal */
export function writeEncrypted(file: ChildHandle, cipher: DataCipher, guest: number, host: number, from: Uint8Array): Promise<void> {
  return cipher.encryptFor(from, guest, host, (encrypted) => file.write(host, encrypted))
}

/** Writes what reads as zeroes: a hole in the file would not. @internal */
export async function writeEncryptedZeroes(file: ChildHandle, cipher: DataCipher, guest: number, host: number, bytes: number): Promise<void> {
  for (let at = 0; at < bytes; at += ZERO_PIECE) {
    const piece = new Uint8Array(Math.min(ZERO_PIECE, bytes - at))
    cipher.encrypt(piece, guest + at, host + at)
    await file.write(host + at, piece)
  }
}
