import { isBlockError } from '@blockloom/block-driver'
import { afterAll, describe, expect, it } from 'vitest'
import { hostOffset } from '../../src/units.ts'
import { DEFAULT_FEATURE_NAMES, defaultFeatureNames } from '../../src/on-disk/feature-names.ts'
import { NO_FEATURES } from '../../src/on-disk/features.ts'
import { decodeHeaderArea, layoutHeaderArea, type HeaderArea } from '../../src/on-disk/header-area.ts'
import { encodeHeader } from '../../src/on-disk/header-encode.ts'
import { EXTENSION, NO_EXTENSIONS } from '../../src/on-disk/header-extensions.ts'
import { HEADER_FIELDS, type Header } from '../../src/on-disk/header.ts'
import { NO_BITS } from '../../src/on-disk/integers.ts'
import { handmadeHeader, withExtensions, withU32, withU64, words } from './handmade.ts'
import { hasReference, ReferenceImages } from './reference-images.ts'
import { forSeeds, type SeededRandom } from './seeded-random.ts'

const header: Header = {
  version: 3,
  clusterBits: 16,
  size: 64 * 1024 * 1024,
  encryption: 'none',
  l1Entries: 1,
  l1Offset: hostOffset(0x30000),
  refcountTableOffset: hostOffset(0x10000),
  refcountTableClusters: 1,
  refcountOrder: 4,
  snapshotCount: 0,
  snapshotTableOffset: hostOffset(0),
  features: NO_FEATURES,
  compressionType: 'zlib',
  unknownCompatible: NO_BITS,
  unknownAutoclear: NO_BITS,
  headerLength: 112,
  additionalFields: new Uint8Array(7),
}
const area: HeaderArea = { header, extensions: NO_EXTENSIONS, backingFile: null }

describe('decoding', () => {
  it('reads the fields of the specification', () => {
    let bytes = handmadeHeader()
    bytes = withU64(withU64(withU64(bytes, 72, 0x17n), 80, (1n << 40n) + 1n), 88, 4n + 2n)
    bytes = withU32(withU64(withU32(withU32(bytes, 96, 1), 60, 3), 64, 0x50000n), 32, 1)
    const decoded = decodeHeaderArea(bytes)
    expect(decoded.header).toEqual({
      ...header,
      encryption: 'aes',
      refcountOrder: 1,
      snapshotCount: 3,
      snapshotTableOffset: 0x50000,
      features: {
        dirty: true,
        corrupt: true,
        externalData: true,
        extendedL2: true,
        lazyRefcounts: true,
        bitmaps: false,
        rawExternalData: true,
      },
      unknownCompatible: { hi: 0x100, lo: 0 },
      unknownAutoclear: { hi: 0, lo: 4 },
    })
    expect(decoded.geometry).toMatchObject({ clusterSize: 65536, refcountBits: 2, l2EntrySize: 16 })
  })

  it('ignores version 3 fields of a version 2 image', () => {
    const bytes = handmadeHeader(2)
    bytes.fill(0xff, 80, 112)
    const decoded = decodeHeaderArea(withU64(withU64(bytes, 72, 0n), 8, 72n))
    expect(decoded.header).toMatchObject({ version: 2, refcountOrder: 4, features: NO_FEATURES, headerLength: 72 })
  })

  it('ends names at a NUL and keeps bytes that are not UTF-8', () => {
    const bytes = withU32(withU64(handmadeHeader(), 8, 4096n), 16, 6)
    bytes.set([0x61, 0xff, 0, 0x62], 4096)
    const decoded = decodeHeaderArea(bytes)
    expect(decoded.backingFile).toBe('a\udcff')
    const again = layoutHeaderArea(decoded)
    expect([...again.subarray(-2)]).toEqual([0x61, 0xff])
  })

  it('takes stale bitmaps as none, and drops them when the header is rewritten', () => {
    const stale = withExtensions(handmadeHeader(), { type: EXTENSION.bitmaps, data: words(1, 0, 32n, 0x40000n) })
    expect(decodeHeaderArea(stale)).toMatchObject({ staleBitmaps: true, extensions: { bitmaps: null } })
    expect(decodeHeaderArea(layoutHeaderArea(decodeHeaderArea(stale))).staleBitmaps).toBe(false)
    expect(decodeHeaderArea(withU64(stale, 88, 1n))).toMatchObject({
      staleBitmaps: false,
      extensions: { bitmaps: { count: 1, directorySize: 32, directoryOffset: 0x40000 } },
    })
  })

  it('keeps unknown extensions and header fields byte for byte, in order', () => {
    const extensions = [
      { type: 0x22222222, data: new Uint8Array([1, 2, 3]) },
      { type: 0x11111111, data: new Uint8Array(0) },
      { type: 0x22222222, data: new Uint8Array(16).fill(9) },
    ]
    const bytes = withExtensions(withU32(handmadeHeader(), 100, 112), ...extensions)
    bytes.set([7, 6, 5], 105)
    const decoded = decodeHeaderArea(bytes)
    expect(decoded.extensions.unknown).toEqual(extensions)
    const again = layoutHeaderArea(decoded)
    expect(again).toEqual(bytes.subarray(0, again.length))
    const longHeader = decodeHeaderArea(withU32(bytes, 100, 1000))
    expect(layoutHeaderArea(longHeader).subarray(104, 1000)).toEqual(bytes.subarray(104, 1000))
  })
})

describe('laying out', () => {
  it('puts the backing file name behind the extensions', () => {
    const bytes = layoutHeaderArea({
      header,
      extensions: { ...NO_EXTENSIONS, backingFormat: 'raw', featureNames: DEFAULT_FEATURE_NAMES },
      backingFile: 'bäse.img',
    })
    const decoded = decodeHeaderArea(bytes)
    expect(decoded.backingFile).toBe('bäse.img')
    expect(decoded.extensions.backingFormat).toBe('raw')
    expect(bytes.length).toBe(112 + 16 + 8 + 384 + 8 + 9)
  })

  it('refuses what does not fit', () => {
    const small = { ...area, header: { ...header, clusterBits: 9 } }
    const room = 512 - 112 - 8
    expect(layoutHeaderArea({ ...small, backingFile: 'x'.repeat(room) }).length).toBe(512)
    const refused = (make: () => unknown): unknown => {
      try {
        return make()
      } catch (error) {
        return isBlockError(error) && `${error.code} ${error.errno}`
      }
    }
    expect(refused(() => layoutHeaderArea({ ...small, backingFile: 'x'.repeat(room + 1) }))).toBe('no-space ENOSPC')
    expect(layoutHeaderArea({ ...area, backingFile: 'x'.repeat(1023) }).length).toBe(112 + 8 + 1023)
    expect(refused(() => layoutHeaderArea({ ...area, backingFile: 'x'.repeat(1024) }))).toBe('invalid EINVAL')
    const format = { ...NO_EXTENSIONS, backingFormat: 'x'.repeat(16) }
    expect(refused(() => layoutHeaderArea({ ...area, extensions: format }))).toBe('invalid EINVAL')
    const v2 = { ...header, version: 2 as const, features: { ...NO_FEATURES, dirty: true } }
    expect(refused(() => layoutHeaderArea({ ...area, header: v2 }))).toBe('invalid EINVAL')
    expect(refused(() => encodeHeader({ ...header, l1Offset: hostOffset(2 ** 54) }))).toBe('invalid EINVAL')
  })

  it('gives the bytes of a group of fields for updates in place', () => {
    const before = layoutHeaderArea({ ...area, backingFile: 'base' })
    const grown = { ...header, l1Entries: 9, l1Offset: hostOffset(0x70000), size: 1 << 30 }
    const after = before.slice()
    for (const [from, to] of [HEADER_FIELDS.l1, HEADER_FIELDS.size]) {
      after.set(encodeHeader(grown).subarray(from, to), from)
    }
    const expected = layoutHeaderArea({ ...area, header: grown, backingFile: 'base' })
    expect(decodeHeaderArea(after)).toEqual(decodeHeaderArea(expected))
  })

  it('reads back what it wrote', () => {
    forSeeds(1, 300, (random) => {
      const original = randomArea(random)
      const { header: decoded, extensions, backingFile } = decodeHeaderArea(layoutHeaderArea(original))
      expect({ header: decoded, extensions, backingFile }).toEqual(original)
    })
  })
})

function randomArea(random: SeededRandom): HeaderArea {
  const version = random.pick([2, 3] as const)
  const flag = (): boolean => version === 3 && random.below(2) === 1
  const clusterBits = 14 + random.below(8)
  const offset = () => hostOffset(random.below(2 ** 30) * 2 ** clusterBits)
  const externalData = flag()
  const encryption = random.pick(['none', 'aes', 'luks'] as const)
  const hasBitmaps = flag()
  return {
    header: {
      version,
      clusterBits,
      size: random.below(2 ** 24),
      encryption,
      l1Entries: 1 + random.below(1000),
      l1Offset: offset(),
      refcountTableOffset: offset(),
      refcountTableClusters: 1 + random.below(4),
      refcountOrder: version === 2 ? 4 : random.below(7),
      snapshotCount: random.below(65537),
      snapshotTableOffset: offset(),
      features: {
        dirty: flag(),
        corrupt: flag(),
        externalData,
        extendedL2: flag(),
        lazyRefcounts: flag(),
        bitmaps: hasBitmaps,
        rawExternalData: externalData && flag(),
      },
      compressionType: flag() ? 'zstd' : 'zlib',
      unknownCompatible: version === 2 ? NO_BITS : { hi: random.below(2 ** 32), lo: random.below(2 ** 31) * 2 },
      unknownAutoclear: version === 2 ? NO_BITS : { hi: random.below(2 ** 32), lo: random.below(2 ** 30) * 4 },
      headerLength: version === 2 ? 72 : 112,
      additionalFields: version === 2 ? new Uint8Array(0) : random.bytes(7),
    },
    extensions: {
      backingFormat: random.pick([null, '', 'qcow2', 'x'.repeat(15)]),
      dataFile: random.pick([null, 'data.raw', 'd\udc80ta']),
      encryption: encryption === 'luks' ? { offset: offset(), length: random.below(2 ** 53) } : null,
      featureNames: random.pick([null, DEFAULT_FEATURE_NAMES, [{ type: 3, bit: 77, name: 'ü'.repeat(23) }]]),
      bitmaps: hasBitmaps
        ? {
            count: 1 + random.below(65535),
            directorySize: 1 + random.below(1e6),
            directoryOffset: hostOffset(offset() + 2 ** clusterBits),
          }
        : null,
      unknown: Array.from({ length: random.below(3) }, () => ({
        type: 1 + random.below(1000),
        data: random.bytes(random.below(40)),
      })),
    },
    backingFile: random.pick([null, 'a', '/very/long/'.repeat(90)]),
  }
}

describe.runIf(hasReference)('images of qemu-img', () => {
  const reference = hasReference ? new ReferenceImages() : undefined
  afterAll(() => reference?.[Symbol.dispose]())
  const options: readonly (readonly string[])[] = [
    [],
    ['-o', 'compat=0.10'],
    ['-o', 'cluster_size=512'],
    ['-o', 'cluster_size=4k'],
    ['-o', 'cluster_size=8k'],
    ['-o', 'cluster_size=2M,refcount_bits=1'],
    ['-o', 'refcount_bits=64,lazy_refcounts=on'],
    ['-o', 'extended_l2=on,compression_type=zstd'],
    ['-o', 'data_file=data.raw,data_file_raw=on'],
    ['-o', 'preallocation=metadata'],
    ['-o', 'backing_file=base.qcow2,backing_fmt=qcow2'],
    ['-o', 'compat=0.10,backing_file=base.qcow2,backing_fmt=qcow2'],
    ['--object', 'secret,id=s,data=x', '-o', 'encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10'],
  ]

  it.each(options.map((o) => [o.join(' ')]))('are laid out alike: %s', (joined) => {
    reference!.create('base.qcow2', '1M')
    const image = reference!.create('image.qcow2', '1M', ...joined.split(' ').filter((o) => o !== ''))
    const decoded = decodeHeaderArea(image)
    expect(decoded.extensions.featureNames).toEqual(
      defaultFeatureNames(decoded.header.version, decoded.header.clusterBits),
    )
    const written = layoutHeaderArea(decoded)
    expect(Buffer.from(written).toString('hex')).toBe(Buffer.from(image.subarray(0, written.length)).toString('hex'))
    expect(image.subarray(written.length, decoded.geometry.clusterSize).every((byte) => byte === 0)).toBe(true)
  })

  it('are laid out alike with bitmaps', () => {
    reference!.create('bitmaps.qcow2', '16M')
    reference!.run('qemu-img', 'bitmap', '--add', 'bitmaps.qcow2', 'first')
    const image = reference!.read('bitmaps.qcow2')
    const decoded = decodeHeaderArea(image)
    expect(decoded.extensions.bitmaps?.count).toBe(1)
    const written = layoutHeaderArea(decoded)
    expect(written).toEqual(image.subarray(0, written.length))
  })

  it('open after our layout, with the names that we wrote', () => {
    const image = reference!.create('ours.qcow2', '1M')
    const decoded = decodeHeaderArea(image)
    const written = layoutHeaderArea({
      ...decoded,
      extensions: { ...decoded.extensions, backingFormat: 'raw' },
      backingFile: 'über/base.raw',
    })
    image.set(written)
    reference!.write('ours.qcow2', image)
    const info = reference!.run('qemu-img', 'info', '--output=json', 'ours.qcow2')
    expect(JSON.parse(info)).toMatchObject({ 'backing-filename': 'über/base.raw', 'backing-filename-format': 'raw' })
  })
})
