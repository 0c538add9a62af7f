import { BlockError } from '@blockloom/block-driver'

/** Bytes of an AES block. @internal */
export const BLOCK = 16

/**
 * AES on independent blocks (ECB), the primitive that every mode of this package is built from. It must not be used on
 * data as it is: equal blocks stay equal.
 *
 * @public
 */
export interface AesBlocks {
  /**
   * Encrypts blocks.
   *
   * @param blocks - a multiple of 16 bytes; stays unchanged
   * @returns as many bytes, in a buffer of their own or one that is valid until the next call
   */
  encrypt(blocks: Uint8Array): Uint8Array
  /** Decrypts blocks; otherwise the same as {@link AesBlocks.encrypt}. */
  decrypt(blocks: Uint8Array): Uint8Array
}

/** The key's length must be one of AES's. @internal */
export function checkAesKey(key: Uint8Array): void {
  if (key.length === 16 || key.length === 24 || key.length === 32) return
  throw new BlockError('invalid', `An AES key has 16, 24 or 32 bytes, not ${key.length}`, { detail: { bytes: key.length } })
}

/** A part of a block would stay behind in the host's cipher and damage the next call. @internal */
export function checkBlocks(blocks: Uint8Array): void {
  if (blocks.length % BLOCK === 0) return
  throw new BlockError('invalid', `AES works on multiples of 16 bytes, not ${blocks.length}`, { detail: { bytes: blocks.length } })
}
