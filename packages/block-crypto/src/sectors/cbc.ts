import { type AesBlocks, BLOCK } from '../ciphers/aes-blocks.ts'
import type { IvGenerator } from './iv-generator.ts'
import { type SectorMode, sectorsAtOnce } from './sector-cipher.ts'
import { scratch } from './words.ts'

/**
 * CBC, a chain per sector. Decryption is one call of the cipher. Encryption is sequential inside a sector only: the
 * first blocks of all sectors go in one call, then the second ones, so 64 KiB take 32 calls.
 *
 * @internal
 */
export function cbc(aes: AesBlocks, ivs: IvGenerator, sectorSize: number): SectorMode {
  const most = sectorsAtOnce(sectorSize)
  const work = scratch(most * sectorSize)
  const plain = scratch(most * sectorSize)
  const chain = scratch(most * BLOCK)
  const perSector = sectorSize / 4

  return {
    encrypt(part, firstSector) {
      const sectors = part.length / sectorSize
      const lanes = chain.bytes.subarray(0, sectors * BLOCK)
      lanes.set(ivs(firstSector, sectors))
      work.bytes.set(part)
      for (let block = 0; block < perSector; block += 4) {
        for (let lane = 0, at = block; lane < sectors * 4; lane += 4, at += perSector) {
          for (let i = 0; i < 4; i++) chain.words[lane + i] = chain.words[lane + i]! ^ work.words[at + i]!
        }
        lanes.set(aes.encrypt(lanes))
        for (let lane = 0, at = block; lane < sectors * 4; lane += 4, at += perSector) {
          for (let i = 0; i < 4; i++) work.words[at + i] = chain.words[lane + i]!
        }
      }
      part.set(work.bytes.subarray(0, part.length))
    },
    decrypt(part, firstSector) {
      const sectors = part.length / sectorSize
      work.bytes.set(part)
      plain.bytes.set(aes.decrypt(part))
      chain.bytes.set(ivs(firstSector, sectors))
      for (let sector = 0; sector < sectors; sector++) {
        const start = sector * perSector
        for (let i = 0; i < 4; i++) plain.words[start + i] = plain.words[start + i]! ^ chain.words[sector * 4 + i]!
        for (let i = start + 4; i < start + perSector; i++) plain.words[i] = plain.words[i]! ^ work.words[i - 4]!
      }
      part.set(plain.bytes.subarray(0, part.length))
    },
  }
}
