import { aesBlocks } from '@blockloom/block-crypto/ciphers'
import { BlockError } from '@blockloom/block-driver'
import { BLOCK } from '../ciphers/aes-blocks.ts'
import { decodeBase64 } from './base64.ts'

/** AES-256-CBC with PKCS#7 padding, as QEMU encrypts secrets. @internal */
export function decryptSecret(bytes: Uint8Array, key: Uint8Array, iv: string | undefined): Uint8Array {
  if (key.length !== 32) throw new BlockError('invalid', 'Key should be 32 bytes in length', { detail: { option: 'keyid', bytes: key.length } })
  if (iv === undefined) throw new BlockError('invalid', 'IV is required to decrypt secret', { detail: { option: 'iv' } })
  const vector = decodeBase64(iv)
  if (vector.length !== BLOCK) throw new BlockError('invalid', `IV should be 16 bytes in length not ${vector.length}`, { detail: { option: 'iv' } })
  if (bytes.length % BLOCK !== 0) throw new BlockError('invalid', `Length ${bytes.length} must be a multiple of block size ${BLOCK}`)
  const plain = new Uint8Array(aesBlocks(key).decrypt(bytes))
  for (let i = 0; i < plain.length; i++) plain[i] = plain[i]! ^ (i < BLOCK ? vector[i]! : bytes[i - BLOCK]!)
  const padding = plain.at(-1) ?? 0
  if (padding < 1 || padding > BLOCK) throw new BlockError('invalid', `Incorrect number of padding bytes (${padding}) found on decrypted data`)
  return plain.subarray(0, plain.length - padding)
}
