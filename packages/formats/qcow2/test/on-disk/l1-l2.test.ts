import { afterAll, describe, expect, it } from 'vitest'
import { createGeometry, guestOffset, l1Index, l2Index, type Geometry } from '../../src/units.ts'
import { decodeHeaderArea } from '../../src/on-disk/header-area.ts'
import { viewOf } from '../../src/on-disk/integers.ts'
import * as l1 from '../../src/on-disk/l1.ts'
import * as compressed from '../../src/on-disk/l2-compressed.ts'
import * as subclusters from '../../src/on-disk/l2-subclusters.ts'
import * as l2 from '../../src/on-disk/l2.ts'
import { hasReference, ReferenceImages } from './reference-images.ts'
import { forSeeds } from './seeded-random.ts'

const geometryOf = (clusterBits: number, extendedL2 = false): Geometry =>
  createGeometry({ clusterBits, refcountOrder: 4, extendedL2 })
const geometry = geometryOf(16)
const extended = geometryOf(16, true)
const plain = { extendedL2: false, externalData: false }
const COPIED = 0x8000_0000
const COMPRESSED = 0x4000_0000

describe('L1 entries', () => {
  it('hold offset and COPIED flag', () => {
    const table = new DataView(new ArrayBuffer(16))
    l1.setL1Entry(table, 1, 0x12_3456_0000, true)
    expect(table.getBigUint64(8)).toBe(0x8000_0012_3456_0000n)
    expect(l1.l1TableOffset(l1.l1Hi(table, 1), l1.l1Lo(table, 1))).toBe(0x12_3456_0000)
    expect(l1.l1Copied(l1.l1Hi(table, 1))).toBe(true)
    l1.setL1Entry(table, 1, 0, false)
    expect(table.getBigUint64(8)).toBe(0n)
  })

  it('ignore reserved bits for the offset, and report them', () => {
    expect(l1.l1TableOffset(0xff00_0001, 0x0001_01ff)).toBe(0x1_0001_0000)
    expect(l1.l1HasReservedBits(COPIED, 0x10000)).toBe(false)
    expect(l1.l1HasReservedBits(0x0100_0000, 0)).toBe(true)
    expect(l1.l1HasReservedBits(0x4000_0000, 0)).toBe(true)
    expect(l1.l1HasReservedBits(0, 1)).toBe(true)
    expect(l1.l1HasReservedBits(0, 0x100)).toBe(true)
  })
})

describe('standard L2 entries', () => {
  it.each([
    ['unallocated', 0, 0],
    ['unallocated', COPIED, 0],
    ['unallocated', 0, 0x1fe],
    ['zero-plain', 0, 1],
    ['zero-alloc', 0, 0x10001],
    ['zero-alloc', COPIED + 1, 1],
    ['normal', 0, 0x10000],
    ['normal', 0x00ff_ffff, 0xffff_fe00],
    ['normal', 0, 0x200],
    ['compressed', COMPRESSED, 1],
    ['compressed', COMPRESSED + COPIED, 0],
  ] as const)('%s: %i %i', (kind, hi, lo) => {
    expect(l2.classifyCluster(plain, hi, lo)).toBe(kind)
  })

  it('have a cluster at offset 0 only in an external data file', () => {
    const external = { extendedL2: false, externalData: true }
    expect(l2.classifyCluster(external, COPIED, 0)).toBe('normal')
    expect(l2.classifyCluster(external, 0, 0)).toBe('unallocated')
    expect(l2.classifyCluster(external, COPIED, 1)).toBe('zero-plain')
  })

  it('have no zero flag with extended entries', () => {
    expect(l2.classifyCluster({ extendedL2: true, externalData: false }, 0, 1)).toBe('unallocated')
    expect(l2.classifyCluster({ extendedL2: true, externalData: false }, 0, 0x10001)).toBe('normal')
    expect(l2.l2HasReservedBits(true, 0, 1)).toBe(true)
    expect(l2.l2HasReservedBits(false, 0, 1)).toBe(false)
    expect(l2.l2HasReservedBits(false, 0x0100_0000, 0)).toBe(true)
    expect(l2.l2HasReservedBits(false, 0x2000_0000, 0)).toBe(true)
    expect(l2.l2HasReservedBits(false, COPIED, 0x10000)).toBe(false)
    expect(l2.l2HasReservedBits(false, 0, 0x100)).toBe(true)
  })

  it('read back as written, in tables of both entry sizes', () => {
    forSeeds(1, 300, (random) => {
      const g = random.pick([geometry, extended, geometryOf(9), geometryOf(21)])
      const table = new DataView(new ArrayBuffer(64))
      const index = random.below(64 / g.l2EntrySize)
      const offset = (1 + random.below(2 ** 40 / g.clusterSize)) * g.clusterSize
      const copied = random.below(2) === 1
      const zero = !g.extendedL2 && random.below(2) === 1
      l2.setL2Entry(g, table, index, offset, copied, zero)
      const hi = l2.l2Hi(g, table, index)
      const lo = l2.l2Lo(g, table, index)
      expect(table.getBigUint64(index * g.l2EntrySize)).toBe(
        BigInt(offset) + (copied ? 1n << 63n : 0n) + (zero ? 1n : 0n),
      )
      expect([l2.l2HostOffset(hi, lo), l2.l2Copied(hi), l2.l2ZeroFlag(lo)]).toEqual([offset, copied, zero])
      expect(l2.classifyCluster({ ...plain, extendedL2: g.extendedL2 }, hi, lo)).toBe(zero ? 'zero-alloc' : 'normal')
      expect(l2.l2Copied(l2.withCopied(hi, !copied))).toBe(!copied)
      expect(l2.l2HostOffset(l2.withCopied(hi, !copied), lo)).toBe(offset)
    })
  })

  it('are written in runs as they are one by one, also where a run crosses 4 GiB', () => {
    forSeeds(3, 300, (random) => {
      const g = random.pick([geometry, extended, geometryOf(9), geometryOf(21)])
      const [table, expected] = [new DataView(new ArrayBuffer(256)), new DataView(new ArrayBuffer(256))]
      const entries = 256 / g.l2EntrySize
      const index = random.below(entries)
      const count = random.below(entries - index + 1)
      const offset = (random.below(2) === 1 ? 2 ** 32 - random.below(count + 1) * g.clusterSize : (1 + random.below(2 ** 40 / g.clusterSize)) * g.clusterSize)
      l2.setL2Run(g, table, index, count, offset)
      for (let i = 0; i < count; i++) l2.setL2Entry(g, expected, index + i, offset + i * g.clusterSize, true, false)
      expect(new Uint8Array(table.buffer)).toEqual(new Uint8Array(expected.buffer))

      // In front of the run nothing is set, and it has no empty entry itself.
      const from = random.below(entries + 1)
      const end = from + random.below(entries - from + 1)
      const empty = count === 0 || from >= index + count ? end : Math.min(end, Math.max(from, index))
      expect(l2.emptyL2Run(g, table, from, end)).toBe(empty - from)
    })
  })

  it('give exact offsets up to 2^56, of which only usable ones pass', () => {
    expect(BigInt(l2.l2HostOffset(0xffff_ffff, 0xffff_ffff))).toBe((1n << 56n) - 512n)
    expect(l2.isUsableClusterOffset(geometry, 0x50000)).toBe(true)
    expect(l2.isUsableClusterOffset(geometry, 0x50200)).toBe(false)
    expect(l2.isUsableClusterOffset(geometry, 2 ** 53)).toBe(false)
    expect(l2.isUsableClusterOffset(geometry, 2 ** 55)).toBe(false)
    expect(l2.isUsableClusterOffset(geometry, 2 ** 53 - 2 ** 26)).toBe(true)
  })
})

describe('compressed L2 entries', () => {
  it('read back as written, in all cluster sizes', () => {
    forSeeds(1, 1000, (random) => {
      const g = geometryOf(9 + random.below(13), false)
      const table = new DataView(new ArrayBuffer(16))
      const length = 1 + random.below(g.clusterSize - 1)
      const offset = random.below(Math.min(2 ** 49, compressed.compressedOffsetLimit(g)) - length)
      compressed.setCompressedEntry(g, table, 1, offset, length)
      const hi = l2.l2Hi(g, table, 1)
      const lo = l2.l2Lo(g, table, 1)
      expect(l2.classifyCluster(plain, hi, lo)).toBe('compressed')
      expect(l2.l2Copied(hi)).toBe(false)
      expect(compressed.compressedOffset(g, hi, lo)).toBe(offset)
      const readable = compressed.compressedLength(g, hi, lo)
      expect(readable).toBeGreaterThanOrEqual(length)
      expect(readable - length).toBeLessThan(512)
      expect((offset + readable) % 512).toBe(0)
      expect(compressed.compressedSectors(g, hi)).toBe(Math.ceil(((offset % 512) + length) / 512))
    })
  })

  it('stay within bounds for any bits', () => {
    forSeeds(1, 1000, (random) => {
      const g = geometryOf(9 + random.below(13))
      const hi = COMPRESSED + random.below(2 ** 30)
      const lo = random.below(2 ** 32)
      const offset = compressed.compressedOffset(g, hi, lo)
      const length = compressed.compressedLength(g, hi, lo)
      expect(length).toBeGreaterThan(0)
      expect(length).toBeLessThanOrEqual(2 * g.clusterSize)
      if (compressed.isUsableCompressedOffset(offset)) expect(Number.isSafeInteger(offset + length)).toBe(true)
      const x = BigInt(62 - (g.clusterBits - 8))
      const exact = ((BigInt(hi) << 32n) + BigInt(lo)) & ((1n << x) - 1n)
      if (offset <= Number.MAX_SAFE_INTEGER) expect(BigInt(offset)).toBe(exact)
      else expect(exact).toBeGreaterThan(2n ** 53n - 2n)
    })
  })

  it('refuse data that the descriptor cannot hold', () => {
    const table = new DataView(new ArrayBuffer(16))
    const g = geometryOf(21)
    const write = (offset: number, length: number) => () => compressed.setCompressedEntry(g, table, 0, offset, length)
    for (const [offset, length] of [[2 ** 49, 1], [2 ** 49 - 4, 5], [0, 0], [0, g.clusterSize], [0, -1]] as const) {
      expect(write(offset, length)).toThrow('No compressed cluster can describe')
    }
    write(2 ** 49 - 5, 5)()
    expect(compressed.compressedOffset(g, l2.l2Hi(g, table, 0), l2.l2Lo(g, table, 0))).toBe(2 ** 49 - 5)
  })

  it('clear the bitmap of an extended entry', () => {
    const table = new DataView(new ArrayBuffer(32))
    subclusters.setSubclusters(table, 1, 7, 8)
    compressed.setCompressedEntry(extended, table, 1, 0x50123, 100)
    expect(subclusters.subclustersAllocated(table, 1) + subclusters.subclustersZero(table, 1)).toBe(0)
  })
})

describe('extended L2 entries', () => {
  const context = { extendedL2: true, externalData: false }

  it.each([
    ['unallocated-plain', 0, 0, 0, 0],
    ['zero-plain', 0, 0, 0, 0x8000_0000],
    ['invalid', 0, 0, 0x8000_0000, 0],
    ['invalid', 0, 0, 0x8000_0000, 0x8000_0000],
    ['unallocated-alloc', 0, 0x50000, 0, 0],
    ['unallocated-alloc', 0, 0x50000, 0x7fff_ffff, 0x7fff_ffff],
    ['zero-alloc', 0, 0x50000, 0, 0x8000_0000],
    ['normal', 0, 0x50000, 0x8000_0000, 0],
    ['invalid', 0, 0x50000, 0x8000_0000, 0x8000_0000],
    ['compressed', COMPRESSED, 0x50000, 0x8000_0000, 0x8000_0000],
  ] as const)('subcluster 31 is %s: %i %i %i %i', (kind, hi, lo, allocated, zero) => {
    expect(subclusters.classifySubcluster(context, hi, lo, allocated, zero, 31)).toBe(kind)
  })

  it('report contradictions anywhere in the bitmap', () => {
    const invalid = subclusters.hasInvalidSubclusters
    expect(invalid(context, 0, 0x50000, 0b0110, 0b1001)).toBe(false)
    expect(invalid(context, 0, 0x50000, 0x8000_0001, 0x8000_0000)).toBe(true)
    expect(invalid(context, 0, 0, 0, 0xffff_ffff)).toBe(false)
    expect(invalid(context, 0, 0, 1, 0)).toBe(true)
    expect(invalid(context, COMPRESSED, 0, 1, 1)).toBe(false)
    expect(invalid({ extendedL2: true, externalData: true }, COPIED, 0, 1, 0)).toBe(false)
  })

  it('keep the bitmap halves apart from the descriptor', () => {
    const table = new DataView(new ArrayBuffer(32))
    l2.setL2Entry(extended, table, 1, 0x50000, true, false)
    subclusters.setSubclusters(table, 1, 0x0000_00ff, 0xffff_0000)
    expect(table.getBigUint64(16)).toBe(0x8000_0000_0005_0000n)
    expect(table.getBigUint64(24)).toBe(0xffff_0000_0000_00ffn)
    expect(table.getBigUint64(0)).toBe(0n)
    expect(subclusters.subclustersAllocated(table, 1)).toBe(0xff)
    expect(subclusters.subclustersZero(table, 1)).toBe(0xffff_0000)
  })

  it('split into runs of equal subclusters', () => {
    forSeeds(1, 500, (random) => {
      const tail = subclusters.subclusterMask(random.below(33), 32)
      const word = () => random.pick([0, 0xffff_ffff, random.below(2 ** 32), tail])
      const allocated = word()
      const zero = word()
      const pair = (i: number): string => `${(allocated >>> i) & 1}${(zero >>> i) & 1}`
      for (let from = 0; from < 32; from++) {
        let to = from + 1
        while (to < 32 && pair(to) === pair(from)) to++
        expect(subclusters.subclusterRun(allocated, zero, from)).toBe(to - from)
      }
    })
  })

  it('make masks', () => {
    expect(subclusters.subclusterMask(0, 32)).toBe(subclusters.ALL_SUBCLUSTERS)
    expect(subclusters.subclusterMask(4, 8)).toBe(0xf0)
    expect(subclusters.subclusterMask(31, 32)).toBe(0x8000_0000)
    expect(subclusters.subclusterMask(32, 32)).toBe(0)
  })
})

describe.runIf(hasReference)('tables of qemu-io', () => {
  const reference = hasReference ? new ReferenceImages() : undefined
  afterAll(() => reference?.[Symbol.dispose]())

  function lookUp(image: Uint8Array, offset: number) {
    const { header, geometry: g } = decodeHeaderArea(image)
    const l1Table = viewOf(image.subarray(header.l1Offset))
    const at = l1Index(g, guestOffset(offset))
    const hi = l1.l1Hi(l1Table, at)
    expect(l1.l1HasReservedBits(hi, l1.l1Lo(l1Table, at))).toBe(false)
    const table = viewOf(image.subarray(l1.l1TableOffset(hi, l1.l1Lo(l1Table, at))))
    const index = l2Index(g, guestOffset(offset))
    return { g, table, index, hi: l2.l2Hi(g, table, index), lo: l2.l2Lo(g, table, index), l1Copied: l1.l1Copied(hi) }
  }

  it('have the kinds that were written', () => {
    reference!.create('kinds.qcow2', '64M', '-o', 'cluster_size=4k')
    const data4k = ['write -P 0xa5 0 4k', 'write -P 0x5a 4k 4k']
    const commands = [...data4k, 'write -z 4k 4k', 'write -z 12k 4k', 'write -c -P 7 5M 4k']
    reference!.run('qemu-io', ...commands.flatMap((command) => ['-c', command]), 'kinds.qcow2')
    const image = reference!.read('kinds.qcow2')
    const kind = (offset: number): string => {
      const { hi, lo, l1Copied } = lookUp(image, offset)
      expect(l1Copied).toBe(true)
      return l2.classifyCluster(plain, hi, lo)
    }
    expect([0, 4096, 8192, 12288, 5 * 2 ** 20].map(kind)).toEqual([
      'normal',
      'zero-alloc',
      'unallocated',
      'zero-plain',
      'compressed',
    ])
    const data = lookUp(image, 0)
    expect(image[l2.l2HostOffset(data.hi, data.lo)]).toBe(0xa5)
  })

  const sizes = ['512', '4k', '64k', '2M']
  it.each(sizes)('have compressed data where the descriptor says, with clusters of %s', async (size) => {
    reference!.create('zlib.qcow2', '16M', '-o', `cluster_size=${size}`)
    const bytes = decodeHeaderArea(reference!.read('zlib.qcow2')).geometry.clusterSize
    for (const [at, pattern] of [[0, 1], [3, 2], [7, 3]] as const) {
      reference!.run('qemu-io', '-c', `write -c -P ${pattern} ${at * bytes} ${bytes}`, 'zlib.qcow2')
    }
    const image = reference!.read('zlib.qcow2')
    for (const [at, pattern] of [[0, 1], [3, 2], [7, 3]] as const) {
      const { g, hi, lo } = lookUp(image, at * bytes)
      const offset = compressed.compressedOffset(g, hi, lo)
      const data = await inflate(image.slice(offset, offset + compressed.compressedLength(g, hi, lo)), bytes)
      expect(data.every((byte) => byte === pattern)).toBe(true)
    }
  })

  it('have the subclusters that were written', () => {
    reference!.create('sub.qcow2', '64M', '-o', 'extended_l2=on')
    const commands = ['write -P 1 0 4k', 'write -z 8k 2k', 'write -z 64k 2k', 'write -P 1 128k 64k']
    reference!.run('qemu-io', ...commands.flatMap((command) => ['-c', command]), 'sub.qcow2')
    const image = reference!.read('sub.qcow2')
    const kinds = (offset: number, count: number): string[] => {
      const { table, index, hi, lo } = lookUp(image, offset)
      const allocated = subclusters.subclustersAllocated(table, index)
      const zero = subclusters.subclustersZero(table, index)
      const kind = (i: number) =>
        subclusters.classifySubcluster({ extendedL2: true, externalData: false }, hi, lo, allocated, zero, i)
      return Array.from({ length: count }, (_, i) => kind(i))
    }
    const [absent, data] = ['unallocated-alloc', 'normal']
    expect(kinds(0, 6)).toEqual([data, data, absent, absent, 'zero-alloc', absent])
    expect(kinds(65536, 2)).toEqual(['zero-plain', 'unallocated-plain'])
    expect(kinds(131072, 32)).toEqual(Array(32).fill('normal'))
  })
})

/** Inflates a raw deflate stream until it has given `length` bytes; what follows is not looked at. */
async function inflate(bytes: Uint8Array<ArrayBuffer>, length: number): Promise<Uint8Array> {
  const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate-raw')).getReader()
  const out = new Uint8Array(length)
  for (let at = 0; at < length; ) {
    const { value } = await reader.read()
    if (value === undefined) throw new Error('the stream ended early')
    out.set(value.subarray(0, length - at), at)
    at += value.length
  }
  await reader.cancel().catch(() => undefined)
  return out
}
