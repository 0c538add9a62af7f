import type { Case } from './case.ts'
import { COMPRESSED, COPIED, FIELD, type Handle } from './handle.ts'

const TOO_FAR: Case['differs'] = { why: 'offsets of 2^53 and more are refused; the reference reads zeroes there', read: 'refuses', check: 'refuses' }
const farAway = (value: unknown): Pick<Case, 'differs'> => (typeof value === 'bigint' && (value & 0x00e0_0000_0000_0000n) !== 0n && (value & 0x7f00_0000_0000_01ffn) === 0n ? { differs: TOO_FAR } : {})

const l1 = (name: string, value: bigint | ((image: Handle) => number), base: Case['base'] = 'plain'): Case => ({
  name: `L1 entry: ${name}`,
  base,
  names: /L2|L1|corrupt/,
  damage: (image) => image.set64(image.l1, typeof value === 'bigint' ? value : COPIED | BigInt(value(image))),
  write: true,
  ...farAway(value),
})

const l2 = (name: string, value: bigint | ((image: Handle) => number), base: Case['base'] = 'plain'): Case => ({
  name: `L2 entry: ${name}`,
  base,
  names: /luster|corrupt|L2/,
  damage: (image) => image.entry(1, typeof value === 'bigint' ? value : COPIED | BigInt(value(image))),
  write: true,
  ...farAway(value),
})

/** L1 and L2 tables. */
export const mappingCases: readonly Case[] = [
  l1('unaligned', COPIED | 0x5200n),
  l1('2^55', 2n ** 55n),
  l1('2^53', COPIED | (2n ** 53n)),
  l1('2^56 - 512', 2n ** 56n - 512n),
  l1('behind the end of the file: zeroes', COPIED | (2n ** 40n)),
  l1('reserved bits', 0x7f00_0000_0000_01ffn),
  l1('all bits', 2n ** 64n - 1n),
  l1('COPIED alone', COPIED),
  l1('the header', () => 0),
  l1('the L1 table itself', (image) => image.l1),
  l1('the refcount table', (image) => image.refcountTable),
  l1('the refcount block', (image) => image.refcountBlock),
  l1('guest data', (image) => Number(image.entryOf(0) & 0xffff_ffff_fe00n)),
  { name: 'two L1 entries with one L2 table', base: '512', damage: (image) => image.set64(image.l1 + 8, image.u64(image.l1)), write: true },
  l2('unaligned', COPIED | 0x8200n),
  l2('2^53 + a cluster', COPIED | (2n ** 53n + 4096n)),
  l2('2^55', COPIED | (2n ** 55n)),
  l2('2^56 - a cluster', COPIED | (2n ** 56n - 4096n)),
  l2('behind the end of the file: zeroes', COPIED | (2n ** 40n)),
  l2('reserved bits', (COPIED | 0x3f00_0000_0000_01fen)),
  l2('all bits but compressed', 2n ** 64n - 1n - COMPRESSED),
  l2('all bits', 2n ** 64n - 1n),
  l2('COPIED alone', COPIED),
  l2('the header', 4096n - 4096n + COPIED),
  l2('the L1 table', (image) => image.l1),
  l2('its own L2 table', (image) => image.l2),
  l2('the refcount table', (image) => image.refcountTable),
  l2('the refcount block', (image) => image.refcountBlock),
  l2('the cluster of another entry', (image) => Number(image.entryOf(0) & 0xffff_ffff_fe00n)),
  l2('zero flag', 1n),
  l2('zero flag with a cluster', (image) => Number(image.entryOf(0) & 0xffff_ffff_fe00n) + 1),
  l2('zero flag with an unaligned cluster', COPIED | 0x8201n),
  l2('zero flag in version 2', 1n, 'version 2'),
  l2('zero flag with a cluster in version 2', (image) => Number(image.entryOf(0) & 0xffff_ffff_fe00n) + 1, 'version 2'),
  { ...l2('another offset than the guest\'s in a data file', COPIED | 0x4000n, 'data file') },
  { ...l2('compressed, in a data file', COMPRESSED | 0x4000n, 'data file') },
  { ...l2('unaligned, in a data file', COPIED | 0x1200n, 'data file') },
  { name: 'subclusters that are both allocated and zero', base: 'extended', names: /luster|corrupt/, damage: (image) => image.set64(image.l2 + 8, 0x0000_0001_0000_0001n), write: true },
  { name: 'subclusters allocated without a cluster', base: 'extended', names: /luster|corrupt/, damage: (image) => image.entry(0, 0), write: true },
  { name: 'extended entry that is unaligned', base: 'extended', names: /luster|corrupt/, damage: (image) => image.entry(0, COPIED | 0x8200n), write: true },
  { name: 'extended entry with the standard zero flag', base: 'extended', names: /luster|corrupt/, damage: (image) => image.entry(0, image.entryOf(0) | 1n), write: true },
  { name: 'a file that ends in the L2 table', base: 'plain', damage: (image) => image.resize(image.l2 + 8) },
  { name: 'a file that ends in a data cluster', base: 'plain', damage: (image) => image.resize(Number(image.entryOf(0) & 0xffff_ffff_fe00n) + 700) },
]

const block = (name: string, value: bigint | ((image: Handle) => number)): Case => ({
  name: `refcount table entry: ${name}`,
  base: 'plain',
  damage: (image) => image.set64(image.refcountTable, typeof value === 'bigint' ? value : BigInt(value(image))),
  write: true,
})

/** Refcounts: they do not matter to a reader, but to a check and to a writer. */
export const refcountCases: readonly Case[] = [
  block('0', 0n),
  block('unaligned', 0x2200n),
  block('2^53', 2n ** 53n),
  block('2^56 and flags', 2n ** 63n + 2n ** 56n + 1n),
  block('2^64 - 512', 2n ** 64n - 512n),
  block('behind the end of the file', 2n ** 40n),
  block('the header', 511n),
  block('the refcount table itself', (image) => image.refcountTable),
  block('the L1 table', (image) => image.l1),
  block('the L2 table', (image) => image.l2),
  { name: 'refcount block 1 is block 0', base: 'plain', damage: (image) => image.set64(image.refcountTable + 8, image.refcountBlock), write: true },
  { name: 'a refcount block that does not count itself', base: 'plain', damage: (image) => image.set64(image.refcountBlock, 0), write: true },
  { name: 'no refcounts at all', base: 'plain', damage: (image) => image.bytes.fill(0, image.refcountBlock, image.refcountBlock + image.clusterSize), write: true },
  { name: 'all refcounts at the most', base: 'plain', damage: (image) => image.bytes.fill(0xff, image.refcountBlock, image.refcountBlock + image.clusterSize), write: true },
  { name: 'a free cluster where data is', base: 'plain', damage: (image) => image.bytes.fill(0, image.refcountBlock + 8, image.refcountBlock + 20), write: true },
  { name: 'the refcount table in the header', base: 'plain', damage: (image) => image.set64(FIELD.refcountTableOffset, 0), write: true },
  { name: 'the refcount table over the L1 table', base: 'plain', damage: (image) => image.set64(FIELD.refcountTableOffset, image.l1), write: true },
  { name: 'refcount order 6 in an image with 16 bits', base: 'plain', damage: (image) => image.set32(FIELD.refcountOrder, 6), write: true },
  { name: 'refcount order 0 in an image with 16 bits', base: 'plain', damage: (image) => image.set32(FIELD.refcountOrder, 0), write: true },
  {
    name: 'a data cluster far away, without a refcount block (CVE-2014-0147)',
    base: 'plain',
    damage: (image) => image.entry(1, COPIED | (2n ** 45n)),
    write: true,
  },
]
