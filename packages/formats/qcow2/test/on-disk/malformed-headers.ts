import { EXTENSION } from '../../src/on-disk/header-extensions.ts'
import { featureName, handmadeHeader, withExtensions, withU32, withU64, words } from './handmade.ts'

/** A header and what opening it must say: `ok`, or the complaint of qemu-img 7.2 word for word. */
export interface HeaderCase {
  readonly name: string
  readonly bytes: Uint8Array
  readonly verdict: string
  /** The field that the error names. */
  readonly field?: string
  /** Why our verdict differs from the reference on purpose. */
  readonly differs?: string
}

const good = handmadeHeader()
const bit = (n: number): bigint => 1n << BigInt(n)
const text = (value: string): Uint8Array => new TextEncoder().encode(value)
const backing = (offset: bigint, length: number): Uint8Array => withU32(withU64(good, 8, offset), 16, length)
const unknownFeature = (message: string, bytes: Uint8Array): HeaderCase => ({
  name: `unknown features: ${message}`,
  bytes,
  verdict: `Unsupported qcow2 feature(s): ${message}`,
  field: 'incompatible_features',
})
const tooBig = 'offsets above 2^53 are refused'

function fixedFields(): HeaderCase[] {
  const huge = withU64(good, 24, bit(55))
  const refused = (field: string, verdict: string, cases: Record<string, Uint8Array>): HeaderCase[] =>
    Object.entries(cases).map(([name, bytes]) => ({ name: `${field}: ${name}`, bytes, verdict, field }))
  return [
    { name: 'a good header', bytes: good, verdict: 'ok' },
    { name: 'a good version 2 header', bytes: handmadeHeader(2), verdict: 'ok' },
    ...refused('magic', 'Image is not in qcow2 format', {
      zero: withU32(good, 0, 0),
      gzip: withU32(good, 0, 0x1f8b0800),
    }),
    ...[0, 1, 4, 0xffffffff].flatMap((v) =>
      refused('version', `Unsupported qcow2 version ${v}`, { [v]: withU32(good, 4, v) }),
    ),
    ...[0, 8, 22, 32, 40, 0xffffffff].flatMap((v) =>
      refused('cluster_bits', `Unsupported cluster size: 2^${v}`, { [v]: withU32(good, 20, v) }),
    ),
    ...refused('header_length', 'qcow2 header too short', { 0: withU32(good, 100, 0), 103: withU32(good, 100, 103) }),
    ...refused('header_length', 'qcow2 header exceeds cluster size', {
      65544: withU32(good, 100, 65544),
      max: withU32(good, 100, 0xffffffff),
    }),
    { name: 'header_length up to the cluster', bytes: withU32(good, 100, 65536), verdict: 'ok' },
    { name: 'header_length not a multiple of 8', bytes: withU32(good, 100, 105), verdict: 'ok' },
    ...refused('refcount_order', 'Reference count entry width too large; may not exceed 64 bits', {
      7: withU32(good, 96, 7),
      32: withU32(good, 96, 32),
    }),
    ...refused('refcount_table_clusters', 'Reference count table too large', {
      129: withU32(good, 56, 129),
      max: withU32(good, 56, 0xffffffff),
    }),
    ...refused('refcount_table_clusters', 'Image does not contain a reference count table', {
      0: withU32(good, 56, 0),
    }),
    ...refused('refcount_table_offset', 'Reference count table offset invalid', {
      512: withU64(good, 48, 512n),
      'bit 63': withU64(good, 48, bit(63)),
    }),
    ...refused('snapshots_offset', 'Snapshot table too large', {
      65537: withU32(good, 60, 65537),
      max: withU32(good, 60, 0xffffffff),
    }),
    ...refused('snapshots_offset', 'Snapshot table offset invalid', {
      1: withU64(good, 64, 1n),
      'bit 63': withU64(good, 64, bit(63)),
    }),
    ...refused('l1_table_offset', 'Active L1 table too large', {
      '32 MiB + 8': withU32(good, 36, 4194305),
      max: withU32(good, 36, 0xffffffff),
    }),
    { name: 'an L1 table of 32 MiB', bytes: withU32(good, 36, 4194304), verdict: 'ok' },
    ...refused('l1_table_offset', 'Active L1 table offset invalid', {
      unaligned: withU64(good, 40, 0x30001n),
      'bit 63': withU64(good, 40, bit(63)),
    }),
    {
      name: 'L1 offset 2^55',
      bytes: withU64(good, 40, bit(55)),
      verdict: 'Active L1 table offset invalid',
      differs: tooBig,
    },
    ...refused('l1_size', 'L1 table is too small', {
      'no entries': withU32(good, 36, 0),
      'one byte more than an entry maps': withU64(good, 24, (1n << 29n) + 1n),
      '2^53': withU64(good, 24, bit(53)),
    }),
    { name: 'as many bytes as an entry maps', bytes: withU64(good, 24, 1n << 29n), verdict: 'ok' },
    ...refused('size', 'Image is too big', { '2^63': withU64(good, 24, bit(63)) }),
    {
      name: 'size 2^55 with an L1 table that covers it',
      bytes: withU64(withU64(withU32(withU32(huge, 20, 21), 36, 65536), 40, bit(21)), 48, bit(22)),
      verdict: 'Image is too big',
      differs: tooBig,
    },
    ...refused('crypt_method', 'Unsupported encryption method 3', { 3: withU32(good, 32, 3) }),
    ...refused('crypt_method', 'Unsupported encryption method -1', { max: withU32(good, 32, 0xffffffff) }),
    { name: 'AES', bytes: withU32(good, 32, 1), verdict: 'ok' },
    {
      name: 'LUKS without its header pointer',
      bytes: withU32(good, 32, 2),
      verdict: 'Missing CRYPTO header for crypt method 2',
      differs: 'qemu-img 7.2 info crashes',
    },
    ...refused('backing_file_offset', 'Invalid backing file offset', {
      'behind the cluster': backing(65537n, 1),
      'bit 63': backing(bit(63), 1),
    }),
    ...refused('backing_file_size', 'Backing file name too long', {
      1024: backing(4096n, 1024),
      'over the end of the cluster': backing(65535n, 2),
    }),
    { name: 'a backing file name of 1023 bytes', bytes: backing(4096n, 1023), verdict: 'ok' },
    { name: 'a backing file name in the last byte', bytes: backing(65535n, 1), verdict: 'ok' },
    { name: 'a length without a backing file', bytes: backing(0n, 5000), verdict: 'ok' },
  ]
}

function features(): HeaderCase[] {
  const named = (mask: bigint, ...entries: Uint8Array[]): Uint8Array => {
    const tables = entries.map((data) => ({ type: EXTENSION.featureNames, data }))
    return withExtensions(withU64(good, 72, mask), ...tables)
  }
  const five = featureName(0, 5, 'five')
  return [
    unknownFeature('Unknown incompatible feature: 20', withU64(good, 72, 0x20n)),
    unknownFeature('Unknown incompatible feature: 100000000', withU64(good, 72, bit(32))),
    unknownFeature('Unknown incompatible feature: 8000000000000060', withU64(good, 72, bit(63) + 0x60n)),
    unknownFeature('five', named(0x20n, five)),
    unknownFeature('six, five', named(0x60n, new Uint8Array([...featureName(0, 6, 'six'), ...five]))),
    unknownFeature('five, Unknown incompatible feature: 180', named(0x1a0n, new Uint8Array([...five, ...five]))),
    unknownFeature('Unknown incompatible feature: 20', named(0x20n, featureName(1, 5, 'compatible'))),
    unknownFeature('Unknown incompatible feature: 20', named(0x20n, featureName(0, 5, ''))),
    unknownFeature('six, Unknown incompatible feature: 20', named(0x60n, five, featureName(0, 6, 'six'))),
    unknownFeature('five', named(0x20n, five.subarray(0, 40))),
    { name: 'dirty and corrupt', bytes: withU64(good, 72, 3n), verdict: 'ok' },
    { name: 'an external data file', bytes: withU64(good, 72, 4n), verdict: 'ok' },
    { name: 'extended L2 entries', bytes: withU64(good, 72, 16n), verdict: 'ok' },
    { name: 'unknown compatible bits', bytes: withU64(good, 80, bit(63) + 2n), verdict: 'ok' },
    { name: 'unknown autoclear bits', bytes: withU64(good, 88, bit(63) + 4n), verdict: 'ok' },
    {
      name: 'raw external data without external data',
      bytes: withU64(good, 88, 2n),
      verdict: 'data-file-raw requires a data file',
      differs: 'only qemu-img commands that open the data file say so',
    },
    {
      name: 'subclusters below 512 bytes',
      bytes: withU32(withU64(good, 72, 16n), 20, 13),
      verdict: 'Unsupported subcluster size: 256',
      field: 'cluster_bits',
    },
    {
      name: 'the compression bit with zlib',
      bytes: withU64(good, 72, 8n),
      verdict: 'qcow2: Compression type incompatible feature bit must not be set',
      field: 'compression_type',
    },
    {
      name: 'zstd without the compression bit',
      bytes: withU32(good, 104, 0x01000000),
      verdict: 'qcow2: Compression type incompatible feature bit must be set',
      field: 'compression_type',
    },
    { name: 'zstd', bytes: withU64(withU32(good, 104, 0x01000000), 72, 8n), verdict: 'ok' },
    {
      name: 'a compression type behind the end of the header',
      bytes: withU32(withU32(good, 104, 0x01000000), 100, 104),
      verdict: 'ok',
    },
    {
      name: 'an unknown compression type',
      bytes: withU64(withU32(good, 104, 0x02000000), 72, 8n),
      verdict: 'qcow2: unknown compression type: 2',
      field: 'compression_type',
    },
  ]
}

function extensions(): HeaderCase[] {
  const one = (name: string, verdict: string, type: number, data: Uint8Array, length?: number): HeaderCase => ({
    name,
    bytes: withExtensions(good, { type, data, ...(length === undefined ? {} : { length }) }),
    verdict,
  })
  const tooLarge = 'Header extension too large'
  const longExtension = withExtensions(good, { type: 7, data: new Uint8Array(96) })
  const consistent = (verdict: string, data: Uint8Array): HeaderCase => ({
    name: `bitmaps: ${verdict}`,
    bytes: withU64(withExtensions(good, { type: EXTENSION.bitmaps, data }), 88, 1n),
    verdict,
    field: 'bitmaps',
  })
  const luks = (name: string, verdict: string, data: Uint8Array): HeaderCase => ({
    name: `encryption header: ${name}`,
    bytes: withU32(withExtensions(good, { type: EXTENSION.encryption, data }), 32, 2),
    verdict,
    field: 'encryption header',
  })
  return [
    one('an unknown extension', 'ok', 0x12345678, text('abc')),
    one('an extension of 2^32 - 1 bytes', tooLarge, 0x12345678, text('abc'), 0xffffffff),
    one('an extension up to the end of the cluster', 'ok', 0x12345678, text('abc'), 65536 - 120),
    one('an extension over the end of the cluster', tooLarge, 0x12345678, text('abc'), 65536 - 119),
    one('an end marker with an impossible length', tooLarge, 0, text(''), 0x7fffffff),
    one('a backing format of 15 bytes', 'ok', EXTENSION.backingFormat, text('x'.repeat(15))),
    one(
      'a backing format of 16 bytes',
      'ERROR: ext_backing_format: len=16 too large (>=16)',
      EXTENSION.backingFormat,
      text('x'.repeat(16)),
    ),
    one('an empty feature name table', 'ok', EXTENSION.featureNames, text('')),
    one('a data file name', 'ok', EXTENSION.dataFile, text('data.raw')),
    { name: 'extensions up to the backing file name', bytes: withU64(longExtension, 8, 216n), verdict: 'ok' },
    { name: 'an extension over the backing file name', bytes: withU64(longExtension, 8, 215n), verdict: tooLarge },
    { name: 'half an extension header', bytes: backing(116n, 4), verdict: tooLarge },
    one('bitmaps without the autoclear bit', 'ok', EXTENSION.bitmaps, words(1, 0, 32n, 0x40000n)),
    one('bitmaps of 23 bytes', 'bitmaps_ext: Invalid extension length', EXTENSION.bitmaps, new Uint8Array(23)),
    consistent('bitmaps_ext: Reserved field is not zero', words(1, 1, 32n, 0x40000n)),
    consistent('found bitmaps extension with zero bitmaps', words(0, 0, 32n, 0x40000n)),
    consistent(
      'bitmaps_ext: Image has 65536 bitmaps, exceeding the QEMU supported maximum of 65535',
      words(65536, 0, 32n, 0x40000n),
    ),
    consistent('bitmaps_ext: invalid bitmap directory offset', words(1, 0, 32n, 0x40001n)),
    consistent('Requested bitmap directory size is zero', words(1, 0, 0n, 0x40000n)),
    consistent(
      'bitmaps_ext: bitmap directory size (9223372036854775809) exceeds the maximum supported size (67107840)',
      words(1, 0, bit(63) + 1n, 0x40000n),
    ),
    one(
      'an encryption header without LUKS',
      'CRYPTO header extension only expected with LUKS encryption method',
      EXTENSION.encryption,
      words(0x40000n, 592n),
    ),
    luks('length', 'CRYPTO header extension size 15, but expected size 16', new Uint8Array(15)),
    luks(
      'offset',
      "Encryption header offset '1' is not a multiple of cluster size '65536'",
      words(1n, 592n),
    ),
  ]
}

/** All cases. */
export const headerCases: readonly HeaderCase[] = [...fixedFields(), ...features(), ...extensions()]
