import { describe, expect, it } from 'vitest'
import * as units from '../../src/units.ts'
import { forSeeds } from './seeded-random.ts'

const standard = units.createGeometry({ clusterBits: 16, refcountOrder: 4, extendedL2: false })

describe('geometry', () => {
  it('is that of the default image', () => {
    expect(standard).toEqual({
      clusterBits: 16,
      clusterSize: 65536,
      extendedL2: false,
      l2EntrySize: 8,
      l2Entries: 8192,
      l2Bits: 13,
      l2Coverage: 512 * 1024 * 1024,
      subclustersPerCluster: 1,
      subclusterSize: 65536,
      refcountOrder: 4,
      refcountBits: 16,
      refcountBlockEntries: 32768,
      refcountBlockCoverage: 2 ** 31,
      tableEntriesPerCluster: 8192,
      compressedOffsetBits: 54,
    })
  })

  it('follows cluster size, refcount width and extended L2 entries', () => {
    const small = units.createGeometry({ clusterBits: 9, refcountOrder: 6, extendedL2: false })
    expect(small).toMatchObject({ l2Entries: 64, l2Coverage: 32768 })
    expect(small).toMatchObject({ refcountBlockEntries: 64, compressedOffsetBits: 61 })
    const large = units.createGeometry({ clusterBits: 21, refcountOrder: 0, extendedL2: true })
    expect(large).toMatchObject({
      l2EntrySize: 16,
      l2Entries: 131072,
      l2Bits: 17,
      subclustersPerCluster: 32,
      subclusterSize: 65536,
      refcountBlockEntries: 2 ** 24,
      refcountBlockCoverage: 2 ** 45,
      compressedOffsetBits: 49,
    })
  })

  it('refuses values that no header can have', () => {
    const make = (clusterBits: number, refcountOrder: number) => () =>
      units.createGeometry({ clusterBits, refcountOrder, extendedL2: false })
    for (const bits of [8, 22, 16.5, Number.NaN]) expect(make(bits, 4)).toThrow('Unsupported cluster size')
    for (const order of [-1, 7, 0.5]) expect(make(16, order)).toThrow('Reference count entry width too large')
  })
})

describe('offsets', () => {
  it('are taken apart and put together, up to 2^53', () => {
    forSeeds(1, 500, (random) => {
      const geometry = units.createGeometry({
        clusterBits: 9 + random.below(13),
        refcountOrder: random.below(7),
        extendedL2: random.below(2) === 1,
      })
      const offset = random.pick([random.below(2 ** 53), 2 ** 53 - 1 - random.below(1000), random.below(2 ** 33)])
      const guest = units.guestOffset(offset)
      const size = BigInt(geometry.clusterSize)
      const start = (BigInt(offset) / size) * size
      expect(BigInt(units.clusterStart(geometry, guest))).toBe(start)
      expect(units.offsetInCluster(geometry, offset)).toBe(Number(BigInt(offset) - start))
      expect(units.isClusterAligned(geometry, offset)).toBe(BigInt(offset) === start)

      const l1 = units.l1Index(geometry, guest)
      const l2 = units.l2Index(geometry, guest)
      expect(BigInt(l1)).toBe(BigInt(offset) / (size * BigInt(geometry.l2Entries)))
      expect(l2).toBeLessThan(geometry.l2Entries)
      expect(units.guestOffsetOf(geometry, l1, l2)).toBe(units.clusterStart(geometry, guest))
      expect(units.subclusterIndex(geometry, guest)).toBe(
        Number((BigInt(offset) - start) / BigInt(geometry.subclusterSize)),
      )

      const index = units.clusterIndex(geometry, units.hostOffset(offset))
      expect(BigInt(units.clusterOffset(geometry, index))).toBe(start)
      expect(
        units.refcountTableIndex(geometry, index) * geometry.refcountBlockEntries +
          units.refcountBlockIndex(geometry, index),
      ).toBe(index)
    })
  })

  it('round up to clusters and L1 entries', () => {
    expect([0, 1, 65536, 65537].map((bytes) => units.clustersFor(standard, bytes))).toEqual([0, 1, 1, 2])
    expect([0, 1, 65537].map((bytes) => units.roundUpToCluster(standard, bytes))).toEqual([0, 65536, 131072])
    expect([0, 1, 2 ** 29, 2 ** 29 + 1].map((bytes) => units.l1EntriesFor(standard, bytes))).toEqual([0, 1, 1, 2])
    expect(units.l1EntriesFor(standard, 2 ** 53 - 1)).toBe(2 ** 24)
  })
})
