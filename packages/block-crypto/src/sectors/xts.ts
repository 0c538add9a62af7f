import type { AesBlocks } from '../ciphers/aes-blocks.ts'
import type { IvGenerator } from './iv-generator.ts'
import type { SectorMode } from './sector-cipher.ts'

/**
 * XTS (IEEE 1619) for sectors of whole blocks. All first tweaks of a request take one call of the cipher, all its blocks
 * another; the tweaks in between are computed here.
 *
 * Without any reference to what is around it: other threads run its text.
 *
 * @param most - sectors that it is given at most at once
 * @internal
 */
export function xts(data: AesBlocks, tweak: AesBlocks, ivs: IvGenerator, sectorSize: number, most: number): SectorMode {
  const block = 16
  const isLittleEndian = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1
  const first = new Uint32Array((most * block) / 4)
  const firstBytes = new Uint8Array(first.buffer)
  const tweaks = new Uint32Array((most * sectorSize) / 4)
  const work = new Uint32Array((most * sectorSize) / 4)
  const workBytes = new Uint8Array(work.buffer)

  const swapBytes = (words: Uint32Array): void => {
    for (let i = 0; i < words.length; i++) {
      const word = words[i]!
      words[i] = (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)
    }
  }

  /**
   * From each sector's first tweak all its tweaks, applied to the data in the same pass: each is the one before times x
   * in GF(2^128), IEEE 1619 section 5.2.
   */
  const expandTweaks = (sectors: number): void => {
    const blocks = sectorSize / block
    let at = 0
    for (let sector = 0; sector < sectors; sector++) {
      let a = first[sector * 4]! | 0
      let b = first[sector * 4 + 1]! | 0
      let c = first[sector * 4 + 2]! | 0
      let d = first[sector * 4 + 3]! | 0
      for (let i = 0; i < blocks; i++) {
        tweaks[at] = a
        tweaks[at + 1] = b
        tweaks[at + 2] = c
        tweaks[at + 3] = d
        work[at] = work[at]! ^ a
        work[at + 1] = work[at + 1]! ^ b
        work[at + 2] = work[at + 2]! ^ c
        work[at + 3] = work[at + 3]! ^ d
        at += 4
        const carry = (d >> 31) & 0x87
        d = (d << 1) | (c >>> 31)
        c = (c << 1) | (b >>> 31)
        b = (b << 1) | (a >>> 31)
        a = (a << 1) ^ carry
      }
    }
  }

  const apply = (part: Uint8Array, firstSector: number, blocks: (bytes: Uint8Array) => Uint8Array): void => {
    const sectors = part.length / sectorSize
    const words = part.length / 4
    firstBytes.set(tweak.encrypt(ivs(firstSector, sectors)))
    workBytes.set(part)
    if (!isLittleEndian) for (const each of [first, work]) swapBytes(each)
    expandTweaks(sectors)
    if (!isLittleEndian) for (const each of [tweaks, work]) swapBytes(each)
    workBytes.set(blocks(workBytes.subarray(0, part.length)))
    for (let i = 0; i < words; i++) work[i] = work[i]! ^ tweaks[i]!
    part.set(workBytes.subarray(0, part.length))
  }
  return {
    encrypt: (part, firstSector) => apply(part, firstSector, data.encrypt),
    decrypt: (part, firstSector) => apply(part, firstSector, data.decrypt),
  }
}
