/**
 * AES, hashes and PBKDF2, on Node: the host's OpenSSL.
 *
 * A cipher object costs 10 to 20 us to make and 0.7 us to use, so one per key is made and kept, in ECB, and the modes are
 * built above it: whole requests cost a handful of calls, where a cipher object per 512-byte sector gives 30 MiB/s.
 *
 * @packageDocumentation
 */
import type { Cipheriv, Decipheriv } from 'node:crypto'
import { type AesBlocks, checkAesKey, checkBlocks } from './aes-blocks.ts'
import { CipherPool } from './cipher-pool.node.ts'
import { type HashName, hashUnavailable } from './hash-name.ts'
import type { SectorThreads, ThreadedXts } from './sector-threads.ts'

export type { AesBlocks } from './aes-blocks.ts'
export type { HashName } from './hash-name.ts'
export type { SectorThreads, SectorTransform, ThreadedXts } from './sector-threads.ts'

// Loaded when it is needed: that takes 5 ms, and most images are not encrypted.
const openssl = (): typeof import('node:crypto') => process.getBuiltinModule('node:crypto')

/**
 * AES with a key of 16, 24 or 32 bytes.
 *
 * @throws BlockError `invalid` for another length
 * @public
 */
export function aesBlocks(key: Uint8Array): AesBlocks {
  checkAesKey(key)
  // Not slice(): a Buffer's shares its memory, and the caller may wipe the key.
  const secret = new Uint8Array(key)
  const algorithm = `aes-${secret.length * 8}-ecb`
  let encryptor: Cipheriv | undefined
  let decryptor: Decipheriv | undefined
  return {
    encrypt(blocks) {
      checkBlocks(blocks)
      encryptor ??= openssl().createCipheriv(algorithm, secret, null).setAutoPadding(false)
      return encryptor.update(blocks)
    },
    decrypt(blocks) {
      checkBlocks(blocks)
      decryptor ??= openssl().createDecipheriv(algorithm, secret, null).setAutoPadding(false)
      return decryptor.update(blocks)
    },
  }
}

/**
 * The digest of some bytes.
 *
 * @throws BlockError `unsupported` for a hash that this host lacks
 * @public
 */
export function digest(hash: HashName, bytes: Uint8Array): Uint8Array | Promise<Uint8Array> {
  try {
    return new Uint8Array(openssl().hash(hash, bytes, 'buffer'))
  } catch (cause) {
    throw hashUnavailable(hash, cause)
  }
}

/**
 * PBKDF2 (RFC 8018) with HMAC, off the main thread.
 *
 * @param iterations - 1 to 2^31 - 1
 * @throws BlockError `unsupported` for a hash that this host lacks
 * @public
 */
export function pbkdf2(hash: HashName, passphrase: Uint8Array, salt: Uint8Array, iterations: number, bytes: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    openssl().pbkdf2(passphrase, salt, iterations, bytes, hash, (error, derived) => (error === null ? resolve(new Uint8Array(derived)) : reject(hashUnavailable(hash, error))))
  })
}

/** One processor is for the main thread; more than three threads are more than disks can use. */
const MOST_THREADS = 3

let pool: CipherPool | undefined

/** Threads for a cipher's long requests; null where there are none to spare. @public */
export function sectorThreads(cipher: ThreadedXts): SectorThreads | null {
  const spare = process.getBuiltinModule('node:os').availableParallelism() - 1
  if (spare < 1) return null
  pool ??= new CipherPool(Math.min(MOST_THREADS, spare))
  return pool.add(cipher)
}
