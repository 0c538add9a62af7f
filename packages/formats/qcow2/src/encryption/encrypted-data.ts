import type { ChildHandle } from '@blockloom/block-driver'
import type { DataCipher } from './data-cipher.ts'

/** Zeroes are encrypted in pieces of this many bytes. */
const ZERO_PIECE = 1024 * 1024

/** Reads encrypted guest data into `into`, whole sectors. @internal */
export async function readEncrypted(file: ChildHandle, cipher: DataCipher, guest: number, host: number, into: Uint8Array): Promise<void> {
  await file.read(host, into)
  cipher.decrypt(into, guest, host)
}

/** Encrypts a copy of `from`, which stays as it is, and writes it. @internal */
export async function writeEncrypted(file: ChildHandle, cipher: DataCipher, guest: number, host: number, from: Uint8Array): Promise<void> {
  // Not slice(): of a Buffer it would be the same memory.
  const bytes = new Uint8Array(from)
  cipher.encrypt(bytes, guest, host)
  await file.write(host, bytes)
}

/** Writes what reads as zeroes: a hole in the file would not. @internal */
export async function writeEncryptedZeroes(file: ChildHandle, cipher: DataCipher, guest: number, host: number, bytes: number): Promise<void> {
  for (let at = 0; at < bytes; at += ZERO_PIECE) {
    const piece = new Uint8Array(Math.min(ZERO_PIECE, bytes - at))
    cipher.encrypt(piece, guest + at, host + at)
    await file.write(host + at, piece)
  }
}
