import { type AesBlocks, BLOCK } from '../ciphers/aes-blocks.ts'
import type { IvGenerator } from './iv-generator.ts'
import { type SectorMode, sectorsAtOnce } from './sector-cipher.ts'
import { LITTLE_ENDIAN, scratch, swapBytes, xorWords } from './words.ts'

/**
 * XTS (IEEE 1619) for sectors of whole blocks. All first tweaks of a request take one call of the cipher, all its blocks
 * another; the tweaks in between are computed here.
 *
 * @internal
 */
export function xts(data: AesBlocks, tweak: AesBlocks, ivs: IvGenerator, sectorSize: number): SectorMode {
  const most = sectorsAtOnce(sectorSize)
  const first = scratch(most * BLOCK)
  const tweaks = new Uint32Array((most * sectorSize) / 4)
  const work = scratch(most * sectorSize)

  const apply = (part: Uint8Array, firstSector: number, blocks: (bytes: Uint8Array) => Uint8Array): void => {
    const sectors = part.length / sectorSize
    const words = part.length / 4
    first.bytes.set(tweak.encrypt(ivs(firstSector, sectors)))
    work.bytes.set(part)
    if (!LITTLE_ENDIAN) for (const bytes of [first.words, work.words]) swapBytes(bytes)
    expandTweaks(first.words, sectors, sectorSize / BLOCK, tweaks, work.words)
    if (!LITTLE_ENDIAN) for (const bytes of [tweaks, work.words]) swapBytes(bytes)
    work.bytes.set(blocks(work.bytes.subarray(0, part.length)))
    xorWords(work.words, tweaks, words)
    part.set(work.bytes.subarray(0, part.length))
  }
  return {
    encrypt: (part, firstSector) => apply(part, firstSector, data.encrypt),
    decrypt: (part, firstSector) => apply(part, firstSector, data.decrypt),
  }
}

/**
 * From each sector's first tweak all its tweaks, applied to `data` in the same pass: each is the one before times x in
 * GF(2^128), IEEE 1619 section 5.2.
 */
function expandTweaks(first: Uint32Array, sectors: number, blocks: number, tweaks: Uint32Array, data: Uint32Array): void {
  let at = 0
  for (let sector = 0; sector < sectors; sector++) {
    let a = first[sector * 4]! | 0
    let b = first[sector * 4 + 1]! | 0
    let c = first[sector * 4 + 2]! | 0
    let d = first[sector * 4 + 3]! | 0
    for (let block = 0; block < blocks; block++) {
      tweaks[at] = a
      tweaks[at + 1] = b
      tweaks[at + 2] = c
      tweaks[at + 3] = d
      data[at] = data[at]! ^ a
      data[at + 1] = data[at + 1]! ^ b
      data[at + 2] = data[at + 2]! ^ c
      data[at + 3] = data[at + 3]! ^ d
      at += 4
      const carry = (d >> 31) & 0x87
      d = (d << 1) | (c >>> 31)
      c = (c << 1) | (b >>> 31)
      b = (b << 1) | (a >>> 31)
      a = (a << 1) ^ carry
    }
  }
}
