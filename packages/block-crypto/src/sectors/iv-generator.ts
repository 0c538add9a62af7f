import type { AesBlocks } from '../ciphers/aes-blocks.ts'

/**
 * Where a sector's initialization vector comes from (dm-crypt's names): `plain`, its number in 32 bits, little endian;
 * `plain64`, in 64 bits; `essiv`, in 64 bits, encrypted with a hash of the key.
 *
 * @public
 */
export type IvGeneratorName = 'plain' | 'plain64' | 'essiv'

/** The initialization vectors of consecutive sectors, 16 bytes each; valid until the next call. @internal */
export type IvGenerator = (firstSector: number, sectors: number) => Uint8Array

/**
 * A generator for at most `most` sectors at once.
 *
 * Without any reference to what is around it: other threads run its text.
 *
 * @param essiv - the cipher under the hashed key; needed for `essiv` only
 * @internal
 */
export function ivGenerator(bits: 32 | 64, most: number, essiv?: AesBlocks): IvGenerator {
  const block = 16
  const ivs = new Uint8Array(most * block)
  const view = new DataView(ivs.buffer)
  return (firstSector, sectors) => {
    for (let i = 0; i < sectors; i++) {
      const sector = firstSector + i
      view.setUint32(i * block, sector % 0x1_0000_0000, true)
      if (bits === 64) view.setUint32(i * block + 4, Math.floor(sector / 0x1_0000_0000), true)
    }
    const used = ivs.subarray(0, sectors * block)
    return essiv === undefined ? used : essiv.encrypt(used)
  }
}
