import type { Base, Case } from './case.ts'
import { FIELD, type Handle } from './handle.ts'

const field32 = (name: string, at: number, value: number, names: RegExp, base: Base = 'plain'): Case => ({ name, base, names, damage: (image) => image.set32(at, value) })
const field64 = (name: string, at: number, value: bigint, names: RegExp, base: Base = 'plain'): Case => ({ name, base, names, damage: (image) => image.set64(at, value) })
const withExtension = (name: string, names: RegExp, ...parts: readonly (number | Uint8Array)[]): Case => ({ name, base: 'plain', names, damage: (image) => image.extensions(...parts) })
const anything = /./

/** Offsets and sizes are safe integers here; the reference's are 63 bits, and it reads zeroes there. */
const TOO_FAR: Case['differs'] = { why: 'offsets of 2^53 and more are refused', info: 'refuses', read: 'refuses', check: 'refuses' }
const farAway = (offset: bigint): Pick<Case, 'differs'> => (offset >= 2n ** 53n && offset < 2n ** 63n ? { differs: TOO_FAR } : {})

const BITMAPS = 0x23852875
const BACKING_FORMAT = 0xe2792aca
const FEATURE_NAMES = 0x6803f857
const CRYPTO = 0x0537be77
const DATA_FILE = 0x44415441

function bitmaps(count: number, reserved: number, size: bigint, offset: bigint): Uint8Array {
  const data = new Uint8Array(24)
  const view = new DataView(data.buffer)
  view.setUint32(0, count)
  view.setUint32(4, reserved)
  view.setBigUint64(8, size)
  view.setBigUint64(16, offset)
  return data
}

const withBitmaps = (name: string, count: number, reserved: number, size: bigint, offset: bigint): Case => ({
  name: `bitmaps extension: ${name}`,
  base: 'plain',
  names: /bitmap/i,
  bitmaps: 'broken',
  damage: (image) => {
    image.set64(FIELD.autoclear, 1n)
    image.extensions(BITMAPS, 24, bitmaps(count, reserved, size, offset))
  },
})

const sizes = [0, 3, 4, 7, 8, 23, 24, 71, 72, 100, 103, 104, 111, 112, 511, 512, 4095, 4096]

/** The fixed header, CVE-2014-0143 and 2014-0144 among them. */
export const headerCases: readonly Case[] = [
  field32('magic', 0, 0x514649fa, /magic|format/),
  ...[0, 1, 4, 0xffffffff].map((version) => field32(`version ${version}`, FIELD.version, version, /version/)),
  ...[0, 8, 22, 31, 32, 63, 64, 0xffffffff].map((bits) => field32(`cluster_bits ${bits}`, FIELD.clusterBits, bits, /cluster/)),
  ...[9, 11, 13, 21].map((bits) => field32(`cluster_bits ${bits}, not the image's`, FIELD.clusterBits, bits, anything)),
  ...[0, 72, 103, 4097, 0xffffffff].map((length) => field32(`header_length ${length}`, FIELD.headerLength, length, /header/)),
  ...[105, 109, 4096].map((length) => field32(`header_length ${length}, odd but possible`, FIELD.headerLength, length, anything)),
  ...[4097n, 2n ** 31n, 2n ** 63n, 2n ** 64n - 1n].map((offset) => field64(`backing_file_offset ${offset}`, FIELD.backingOffset, offset, /backing/)),
  {
    name: 'backing_file_size 1024',
    base: 'large clusters',
    names: /backing/,
    damage: (image) => {
      image.set64(FIELD.backingOffset, 4096)
      image.set32(FIELD.backingSize, 1024)
    },
  },
  {
    name: 'backing file name behind the first cluster',
    base: 'plain',
    names: /backing/,
    damage: (image) => {
      image.set64(FIELD.backingOffset, 4000)
      image.set32(FIELD.backingSize, 97)
    },
  },
  ...[7, 31, 32, 33, 0xffffffff].map((order) => field32(`refcount_order ${order}`, FIELD.refcountOrder, order, /refcount|Reference count/)),
  ...[0, 2049, 0x00800000, 0xffffffff].map((clusters) => field32(`refcount_table_clusters ${clusters}`, FIELD.refcountTableClusters, clusters, /refcount|[rR]eference count/)),
  ...[2048].map((clusters) => field32(`refcount_table_clusters ${clusters}, the most`, FIELD.refcountTableClusters, clusters, anything)),
  ...[1n, 512n, 2n ** 53n + 4096n, 2n ** 63n, 2n ** 64n - 4096n].map((offset) => ({ ...field64(`refcount_table_offset ${offset}`, FIELD.refcountTableOffset, offset, /refcount|Reference count/), ...farAway(offset) })),
  field64('refcount table behind the end of the file', FIELD.refcountTableOffset, 2n ** 40n, anything),
  ...[65537, 0x20000000, 0xffffffff].map((count) => field32(`nb_snapshots ${count}`, FIELD.snapshots, count, /[sS]napshot/)),
  {
    name: 'snapshots that are not there (CVE-2014-0146)',
    base: 'plain',
    names: /[sS]napshot/,
    damage: (image) => {
      image.set32(FIELD.snapshots, 3)
      image.set64(FIELD.snapshotsOffset, 2n ** 40n)
    },
  },
  {
    name: 'snapshots_offset unaligned',
    base: 'snapshots',
    names: /[sS]napshot/,
    damage: (image) => image.set64(FIELD.snapshotsOffset, image.snapshotTable + 8),
  },
  field64('snapshots_offset 2^63', FIELD.snapshotsOffset, 2n ** 63n, /[sS]napshot/, 'snapshots'),
  {
    name: '65536 snapshots in a file of zeroes',
    base: 'plain',
    names: /[sS]napshot/,
    damage: (image) => {
      image.set32(FIELD.snapshots, 65536)
      image.set64(FIELD.snapshotsOffset, image.append(new Uint8Array(4096)))
    },
  },
  ...[0, 1, 0x400001, 0x20000000, 0x7fffffff, 0x80000000, 0xffffffff].map((size) => field32(`l1_size ${size}`, FIELD.l1Size, size, /[lL]1/, size === 1 ? '512' : 'plain')),
  field32('l1_size 4194304, the most, in a small file', FIELD.l1Size, 0x400000, anything),
  ...[1n, 512n, 2n ** 53n + 4096n, 2n ** 63n, 2n ** 64n - 4096n].map((offset) => ({ ...field64(`l1_table_offset ${offset}`, FIELD.l1Offset, offset, /[lL]1/), ...farAway(offset) })),
  field64('L1 table behind the end of the file: all zeroes', FIELD.l1Offset, 2n ** 40n, anything),
  { ...field64('L1 table in the header', FIELD.l1Offset, 0n, /L2/), differs: { why: 'the magic is an offset above 2^53', read: 'refuses' } },
  ...[2n ** 53n, 2n ** 56n, 2n ** 63n, 2n ** 64n - 1n, 2n ** 64n - 512n].map((size) => field64(`size ${size}`, FIELD.size, size, /size|big|L1/)),
  field64('size that needs more of the L1 table', FIELD.size, 2n ** 40n, /[lL]1/),
  field64('size that is not a multiple of 512', FIELD.size, 100_001n, anything),
  field64('size 0', FIELD.size, 0n, anything),
  {
    name: 'the largest disk that the L1 table allows, in a small file',
    base: 'plain',
    damage: (image) => {
      image.set32(FIELD.l1Size, 0x400000)
      image.set64(FIELD.size, 2n ** 22n * 512n * 4096n)
    },
  },
  ...[5n, 31n, 32n, 63n].map((bit) => field64(`incompatible feature bit ${bit}`, FIELD.incompatible, 1n << bit, /feature/)),
  field64('compatible and autoclear bits that nobody knows', FIELD.compatible, 2n ** 64n - 2n, anything),
  field64('autoclear bits that nobody knows', FIELD.autoclear, 0xf0f0_0000_0000_0000n, anything),
  { ...field64('dirty', FIELD.incompatible, 1n, anything), write: true },
  { ...field64('corrupt', FIELD.incompatible, 2n, anything), write: true },
  { ...field64('dirty and corrupt', FIELD.incompatible, 3n, anything), write: true },
  field64('a data-file bit without a data file', FIELD.incompatible, 4n, /data-file/),
  field64('the compression bit without a compression type', FIELD.incompatible, 8n, /ompression/),
  field64('extended L2 with clusters that are too small', FIELD.incompatible, 16n, /cluster/),
  { ...field64('a raw data file without a data file', FIELD.autoclear, 2n, /data-file|autoclear/), differs: { why: 'the specification forbids it', info: 'refuses', read: 'refuses', check: 'refuses' } },
  ...[1, 2, 255].map((type) => ({ name: `compression_type ${type}`, base: 'plain', names: /ompression/, damage: (image: Handle) => void (image.bytes[FIELD.compressionType] = type) }) satisfies Case),
  field64('a zstd image without the compression bit', FIELD.incompatible, 0n, /ompression/, 'zstd'),
  field32('crypt_method 1', FIELD.crypt, 1, /encrypt/),
  ...[2, 3, 0x7fffffff, 0xffffffff].map((method) => field32(`crypt_method ${method}`, FIELD.crypt, method, /crypt/)),
  ...sizes.map((size): Case => ({ name: `a file of ${size} bytes`, base: 'plain', names: anything, damage: (image) => image.resize(size) })),
]

/** Header extensions. */
export const extensionCases: readonly Case[] = [
  ...[0xffffffff, 0xfffffff8, 0x80000000, 0x7fffffff, 4096, 3985].map((length) => withExtension(`an unknown extension of ${length} bytes`, /extension/i, 0x12345678, length)),
  withExtension('an unknown extension that fills the cluster', anything, 0x12345678, 4096 - 112 - 8),
  withExtension('an unknown extension that leaves no room for the end', anything, 0x12345678, 4096 - 112 - 12),
  {
    name: '32000 empty extensions in a row',
    base: 'large clusters',
    damage: (image) => {
      for (let at = image.headerLength; at + 16 <= image.clusterSize; at += 8) image.set32(at, 0x12345678)
    },
  },
  withExtension('a backing format of 16 bytes', /backing|format/i, BACKING_FORMAT, 16, new Uint8Array(16).fill(0x61)),
  withExtension('a backing format of 4 GiB', /backing|format|extension/i, BACKING_FORMAT, 0xffffffff),
  withExtension('a backing format with a NUL in it', anything, BACKING_FORMAT, 5, new Uint8Array([0x72, 0, 0x77, 0x61, 0x72])),
  {
    name: 'an unknown feature, and a feature name table without terminators',
    base: 'plain',
    names: /feature/,
    damage: (image) => {
      const table = new Uint8Array(48 * 3 + 11).fill(0x41)
      table.set([0, 5], 0)
      table.set([0, 6], 48)
      image.set64(FIELD.incompatible, 0x60n)
      image.extensions(FEATURE_NAMES, table.length, table)
    },
  },
  {
    name: 'an unknown feature, and a feature name table behind the end of the cluster',
    base: 'plain',
    names: /feature/,
    damage: (image) => {
      image.set64(FIELD.incompatible, 0x20n)
      image.extensions(FEATURE_NAMES, 0xfffffff0)
    },
  },
  withExtension('a data file name of 4 GiB', anything, DATA_FILE, 0xffffffff),
  withExtension('a LUKS pointer in an image without encryption', anything, CRYPTO, 16, new Uint8Array(16).fill(0xff)),
  {
    name: 'a LUKS header behind the end of the file (3d7ed9c453)',
    base: 'plain',
    names: /crypt/,
    damage: (image) => {
      image.set32(FIELD.crypt, 2)
      image.extensions(CRYPTO, 16, new Uint8Array([0, 0, 1, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]))
    },
  },
  withBitmaps('no bitmaps', 0, 0, 64n, 4096n),
  withBitmaps('65536 bitmaps', 65536, 0, 64n, 4096n),
  withBitmaps('reserved bits', 1, 1, 64n, 4096n),
  withBitmaps('directory of 2^63 bytes', 1, 0, 2n ** 63n, 4096n),
  withBitmaps('directory of 64 MiB and a byte', 65535, 0, 1024n * 65535n + 1n, 4096n),
  withBitmaps('empty directory', 1, 0, 0n, 4096n),
  withBitmaps('unaligned directory', 1, 0, 64n, 4097n),
  withBitmaps('directory at 0', 1, 0, 64n, 0n),
  withBitmaps('directory behind the end of the file', 1, 0, 64n, 2n ** 40n),
  withBitmaps('directory at 2^63', 1, 0, 64n, 2n ** 63n),
  withBitmaps('largest directory, in a small file', 65535, 0, 1024n * 65535n, 4096n),
  {
    name: 'bitmaps extension of 23 bytes',
    base: 'plain',
    names: /bitmap/i,
    damage: (image) => {
      image.set64(FIELD.autoclear, 1n)
      image.extensions(BITMAPS, 23, bitmaps(1, 0, 64n, 4096n).subarray(0, 23))
    },
  },
]
