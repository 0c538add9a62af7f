import { isBlockError } from '@blockloom/block-driver'
import { afterAll, describe, expect, it } from 'vitest'
import { createGeometry, hostOffset } from '../../src/units.ts'
import * as directory from '../../src/on-disk/bitmap-directory.ts'
import * as bitmapTable from '../../src/on-disk/bitmap-table.ts'
import { decodeHeaderArea } from '../../src/on-disk/header-area.ts'
import { viewOf } from '../../src/on-disk/integers.ts'
import { withU32, withU64 } from './handmade.ts'
import { hasReference, ReferenceImages } from './reference-images.ts'
import { forSeeds } from './seeded-random.ts'

const geometry = createGeometry({ clusterBits: 12, refcountOrder: 4, extendedL2: false })

const entry: directory.BitmapEntry = {
  tableOffset: hostOffset(0x5000),
  tableEntries: 1,
  inUse: false,
  auto: true,
  granularityBits: 16,
  name: 'first',
}
const encoded = directory.encodeBitmapDirectory([entry], geometry)

function withByte(at: number, value: number): Uint8Array {
  const copy = encoded.slice()
  copy[at] = value
  return copy
}

function withExtraData(size: number): Uint8Array {
  const bytes = new Uint8Array(encoded.length + Math.ceil(size / 8) * 8)
  bytes.set(encoded)
  return withU32(bytes, 20, size)
}

const more = 'More bitmaps found than specified in header extension'
const constraints = "Bitmap 'first' doesn't satisfy the constraints"
/** A directory, how many entries the header announces (1 unless given), and what it must say. */
interface DirectoryCase {
  readonly name: string
  readonly bytes: Uint8Array
  readonly verdict: string
  readonly count?: number
}

const cases: readonly DirectoryCase[] = [
  { name: 'a good entry', bytes: encoded, verdict: 'ok' },
  { name: 'a table at offset 0', bytes: withU64(encoded, 0, 0n), verdict: constraints },
  { name: 'an unaligned table', bytes: withU64(encoded, 0, 0x5200n), verdict: constraints },
  { name: 'a table without entries', bytes: withU32(encoded, 8, 0), verdict: constraints },
  { name: 'a bitmap above 512 MiB', bytes: withU32(encoded, 8, 131073), verdict: constraints },
  { name: 'a huge table', bytes: withU32(encoded, 8, 0xffffffff), verdict: constraints },
  { name: 'flag in_use', bytes: withU32(encoded, 12, 3), verdict: 'ok' },
  { name: 'flag extra_data_compatible', bytes: withU32(encoded, 12, 4), verdict: constraints },
  { name: 'a reserved flag', bytes: withU32(encoded, 12, 0x80000000), verdict: constraints },
  { name: 'type 0', bytes: withByte(16, 0), verdict: constraints },
  { name: 'type 2', bytes: withByte(16, 2), verdict: constraints },
  { name: 'granularity 2^8', bytes: withByte(17, 8), verdict: constraints },
  { name: 'granularity 2^32', bytes: withByte(17, 32), verdict: constraints },
  { name: 'granularity 2^255', bytes: withByte(17, 255), verdict: constraints },
  { name: 'no name', bytes: withByte(19, 0), verdict: "Bitmap '' doesn't satisfy the constraints" },
  { name: 'a name over the end', bytes: withByte(18, 255), verdict: 'Broken bitmap directory' },
  { name: 'extra data', bytes: withExtraData(8), verdict: 'Bitmap extra data is not supported' },
  { name: 'extra data over the end', bytes: withU32(encoded, 20, 0x10000), verdict: 'Broken bitmap directory' },
  { name: 'half an entry', bytes: encoded.subarray(0, 24), verdict: 'Broken bitmap directory' },
  {
    name: 'another entry that was not announced',
    bytes: new Uint8Array([...encoded, ...encoded.subarray(0, 24)]),
    verdict: more,
  },
  {
    name: '8 bytes too many',
    bytes: new Uint8Array([...encoded, 0, 0, 0, 0, 0, 0, 0, 0]),
    verdict: 'Broken bitmap directory',
  },
  { name: 'more than announced', bytes: new Uint8Array([...encoded, ...encoded]), verdict: more },
  {
    name: 'less than announced',
    bytes: encoded,
    verdict: 'Less bitmaps found than specified in header extension',
    count: 2,
  },
  {
    name: 'a name twice',
    bytes: new Uint8Array([...encoded, ...encoded]),
    verdict: 'Bitmap already exists: first',
    count: 2,
  },
]

function verdict(bytes: Uint8Array, count: number): string {
  try {
    directory.decodeBitmapDirectory(bytes, count, geometry)
    return 'ok'
  } catch (error) {
    if (isBlockError(error)) return error.message
    throw error
  }
}

describe('the bitmap directory', () => {
  it.each(cases)('$name', ({ bytes, verdict: expected, count = 1 }) => {
    expect(verdict(bytes, count)).toBe(expected)
  })

  it('reads back what it wrote', () => {
    forSeeds(1, 200, (random) => {
      const entries = Array.from({ length: random.below(6) }, (_, index) => ({
        tableOffset: hostOffset((1 + random.below(2 ** 40)) * 4096),
        tableEntries: 1 + random.below(131072),
        inUse: random.below(2) === 1,
        auto: random.below(2) === 1,
        granularityBits: 9 + random.below(23),
        name: index + random.pick(['', 'bitmap', 'ü', '\udc99', 'x'.repeat(1000)]),
      }))
      const bytes = directory.encodeBitmapDirectory(entries, geometry)
      expect(directory.decodeBitmapDirectory(bytes, entries.length, geometry)).toEqual(entries)
    })
  })

  it('refuses to write what it would not read', () => {
    const bad: Partial<directory.BitmapEntry>[] = [
      { tableOffset: hostOffset(0) },
      { tableOffset: hostOffset(512) },
      { tableEntries: 0 },
      { tableEntries: 131073 },
      { granularityBits: 8 },
      { granularityBits: 32 },
      { name: '' },
      { name: 'x'.repeat(1024) },
    ]
    for (const change of bad) {
      expect(() => directory.encodeBitmapDirectory([{ ...entry, ...change }], geometry)).toThrow(
        expect.toSatisfy((error) => isBlockError(error, 'invalid')),
      )
    }
  })

  it('knows how large a bitmap is', () => {
    expect([0, 1, 65536 * 8, 65536 * 8 + 1].map((size) => directory.bitmapBytesFor(size, 16))).toEqual([0, 1, 1, 2])
    expect(directory.bitmapTableEntriesFor(geometry, 2 ** 31, 16)).toBe(1)
    expect(directory.bitmapTableEntriesFor(geometry, 2 ** 31 + 1, 16)).toBe(2)
    directory.validateBitmapSize(entry, geometry, 2 ** 31)
    expect(() => directory.validateBitmapSize(entry, geometry, 2 ** 31 + 1)).toThrow(
      "Could not read bitmap 'first' from image: Invalid argument",
    )
  })
})

describe('bitmap table entries', () => {
  it.each([
    ['all-zeroes', 0, 0],
    ['all-ones', 0, 1],
    ['data', 0, 0x5000],
    ['data', 0xff, 0x1000],
    ['invalid', 0, 2],
    ['invalid', 0, 0x200],
    ['invalid', 0, 0x5001],
    ['invalid', 0, 0x5100],
    ['invalid', 0x0100_0000, 0],
    ['invalid', 0x8000_0000, 0x5000],
    ['invalid', 0x00ff_0000, 0x1000],
  ] as const)('%s: %i %i', (kind, hi, lo) => {
    expect(bitmapTable.classifyBitmapCluster(geometry, hi, lo)).toBe(kind)
  })

  it('read back as written', () => {
    const table = new DataView(new ArrayBuffer(24))
    bitmapTable.setBitmapTableEntry(table, 0, 2 ** 40 + 0x1000)
    bitmapTable.setBitmapTableEntry(table, 1, 'all-ones')
    bitmapTable.setBitmapTableEntry(table, 2, 'all-zeroes')
    expect([0, 8, 16].map((at) => table.getBigUint64(at))).toEqual([2n ** 40n + 0x1000n, 1n, 0n])
    expect(bitmapTable.bitmapDataOffset(table.getUint32(0), table.getUint32(4))).toBe(2 ** 40 + 0x1000)
  })
})

describe.runIf(hasReference)('bitmaps of qemu-img', () => {
  const reference = hasReference ? new ReferenceImages() : undefined
  afterAll(() => reference?.[Symbol.dispose]())

  function withBitmap(): { image: Uint8Array; offset: number } {
    reference!.create('b.qcow2', '16M', '-o', 'cluster_size=4k')
    reference!.run('qemu-img', 'bitmap', '--add', '-g', '64k', 'b.qcow2', 'first')
    const image = reference!.read('b.qcow2')
    const { directoryOffset } = decodeHeaderArea(image).extensions.bitmaps!
    // So that a longer directory fits: its cluster is the last of the file.
    const longer = new Uint8Array(Math.max(image.length, directoryOffset + 4096))
    longer.set(image)
    return { image: longer, offset: directoryOffset }
  }

  it('are read and written alike', () => {
    reference!.create('b.qcow2', '16M', '-o', 'cluster_size=4k')
    reference!.run('qemu-img', 'bitmap', '--add', '-g', '64k', 'b.qcow2', 'first')
    reference!.run('qemu-io', '-c', 'write 1M 128k', 'b.qcow2')
    reference!.run('qemu-img', 'bitmap', '--add', '--disable', '-g', '512', 'b.qcow2', 'zweite')
    const image = reference!.read('b.qcow2')
    const { extensions, geometry: g, header } = decodeHeaderArea(image)
    const { count, directoryOffset, directorySize } = extensions.bitmaps!
    const bytes = new Uint8Array(directorySize)
    bytes.set(image.subarray(directoryOffset, directoryOffset + directorySize))
    const entries = directory.decodeBitmapDirectory(bytes, count, g)
    expect(entries.map((e) => [e.name, e.granularityBits, e.auto, e.inUse])).toEqual([
      ['first', 16, true, false],
      ['zweite', 9, false, false],
    ])
    expect(directory.encodeBitmapDirectory(entries, g)).toEqual(bytes)
    for (const e of entries) directory.validateBitmapSize(e, g, header.size)

    const table = viewOf(image.subarray(entries[0]!.tableOffset))
    expect(bitmapTable.classifyBitmapCluster(g, table.getUint32(0), table.getUint32(4))).toBe('data')
    const data = image.subarray(bitmapTable.bitmapDataOffset(table.getUint32(0), table.getUint32(4)))
    // Granules 16 and 17 of 64 KiB are dirty.
    expect([...data.subarray(0, 4)]).toEqual([0, 0, 3, 0])
  })

  // The specification asks for a name; the reference does not insist.
  const alike = cases.filter(({ name }) => name !== 'no name')
  it.each(alike)('are refused alike: $name', ({ bytes, verdict: expected, count = 1 }) => {
    const { image, offset } = withBitmap()
    const at = 112 + 8
    const changed = withU64(withU32(image, at, count), at + 8, BigInt(bytes.length))
    // The good entry names the bitmap table that the image has.
    const table = viewOf(bytes === encoded ? image.subarray(offset) : bytes).getBigUint64(0)
    changed.set(withU64(bytes, 0, table), offset)
    expect(reference!.verdict(changed)).toBe(expected)
  })
})
