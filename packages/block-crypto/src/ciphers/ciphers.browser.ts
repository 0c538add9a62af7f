/**
 * AES, hashes and PBKDF2, for hosts without Node's crypto: AES in JavaScript, since WebCrypto has neither ECB nor XTS and
 * no call that answers at once; hashes and PBKDF2 from WebCrypto, which knows SHA-1, SHA-256, SHA-384 and SHA-512.
 *
 * @packageDocumentation
 */
import { type AesBlocks, checkAesKey, checkBlocks } from './aes-blocks.ts'
import { type HashName, hashUnavailable } from './hash-name.ts'
import { portableAes } from './portable-aes.ts'
import type { SectorThreads, ThreadedXts } from './sector-threads.ts'

export type { AesBlocks } from './aes-blocks.ts'
export type { HashName } from './hash-name.ts'
export type { SectorThreads, SectorTransform, ThreadedXts } from './sector-threads.ts'

/**
 * AES with a key of 16, 24 or 32 bytes. Its tables are indexed by key and data: whoever can time the processor's cache
 * learns about the key.
 *
 * @throws BlockError `invalid` for another length
 * @public
 */
export function aesBlocks(key: Uint8Array): AesBlocks {
  checkAesKey(key)
  const aes = portableAes(key)
  return {
    encrypt(blocks) {
      checkBlocks(blocks)
      return aes.encrypt(blocks)
    },
    decrypt(blocks) {
      checkBlocks(blocks)
      return aes.decrypt(blocks)
    },
  }
}

const WEB_NAMES: Readonly<Partial<Record<HashName, string>>> = { sha1: 'SHA-1', sha256: 'SHA-256', sha384: 'SHA-384', sha512: 'SHA-512' }

/**
 * The digest of some bytes.
 *
 * @throws BlockError `unsupported` for a hash that this host lacks
 * @public
 */
export function digest(hash: HashName, bytes: Uint8Array): Uint8Array | Promise<Uint8Array> {
  return crypto.subtle.digest(webName(hash), bytes as Uint8Array<ArrayBuffer>).then((digested) => new Uint8Array(digested))
}

/**
 * PBKDF2 (RFC 8018) with HMAC, off the main thread.
 *
 * @param iterations - 1 to 2^31 - 1
 * @throws BlockError `unsupported` for a hash that this host lacks
 * @public
 */
export async function pbkdf2(hash: HashName, passphrase: Uint8Array, salt: Uint8Array, iterations: number, bytes: number): Promise<Uint8Array> {
  const name = webName(hash)
  const key = await crypto.subtle.importKey('raw', passphrase as Uint8Array<ArrayBuffer>, 'PBKDF2', false, ['deriveBits'])
  const how = { name: 'PBKDF2', hash: name, salt: salt as Uint8Array<ArrayBuffer>, iterations }
  return new Uint8Array(await crypto.subtle.deriveBits(how, key, bytes * 8))
}

function webName(hash: HashName): string {
  const name = WEB_NAMES[hash]
  if (name === undefined) throw hashUnavailable(hash)
  return name
}

/** There are no threads here. @public */
export function sectorThreads(_cipher: ThreadedXts): SectorThreads | null {
  return null
}
