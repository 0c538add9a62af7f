import type { AesBlocks } from '../ciphers/aes-blocks.ts'
import type { SectorMode } from './sector-cipher.ts'

/** Blocks on their own, without a sector number: for images that were made so. Equal blocks stay equal. @internal */
export function ecb(aes: AesBlocks): SectorMode {
  return {
    encrypt: (part) => part.set(aes.encrypt(part)),
    decrypt: (part) => part.set(aes.decrypt(part)),
  }
}
