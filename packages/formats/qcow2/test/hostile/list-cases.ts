import { decodeHeaderArea } from '../../src/on-disk/header-area.ts'
import type { Case } from './case.ts'
import { FIELD, type Handle } from './handle.ts'

const snapshot = (name: string, damage: (image: Handle, at: number) => void, differs?: Case['differs']): Case => ({
  name: `snapshot: ${name}`,
  base: 'snapshots',
  names: /[sS]napshot|extra|L1/,
  damage: (image) => damage(image, image.snapshotTable),
  write: true,
  ...(differs === undefined ? {} : { differs }),
})

/** Snapshot tables, CVE-2014-0143 and 2014-0145 among them. */
export const snapshotCases: readonly Case[] = [
  snapshot('an L1 table that is too large', (image, at) => image.set32(at + 8, 0x400001)),
  snapshot('an L1 table larger than the active one', (image, at) => image.set32(at + 8, 0x1000)),
  snapshot('the largest L1 table', (image, at) => image.set32(at + 8, 0x400000)),
  snapshot('an L1 table of 2^29 entries', (image, at) => image.set32(at + 8, 0x20000000)),
  snapshot('an L1 table of 2^32 - 1 entries', (image, at) => image.set32(at + 8, 0xffffffff)),
  snapshot('an L1 table without entries', (image, at) => image.set32(at + 8, 0)),
  snapshot('an unaligned L1 table', (image, at) => image.set64(at, 0x3210)),
  snapshot('an L1 table at 2^63', (image, at) => image.set64(at, 2n ** 63n)),
  snapshot('an L1 table at 2^53', (image, at) => image.set64(at, 2n ** 53n)),
  snapshot('an L1 table behind the end of the file', (image, at) => image.set64(at, 2n ** 40n)),
  snapshot('an L1 table in the header', (image, at) => image.set64(at, 0)),
  snapshot('the active L1 table as its own', (image, at) => image.set64(at, image.l1)),
  snapshot('1025 bytes of extra data', (image, at) => image.set32(at + 36, 1025)),
  snapshot('4 GiB of extra data', (image, at) => image.set32(at + 36, 0xffffffff)),
  snapshot('no extra data', (image, at) => image.set32(at + 36, 0)),
  snapshot('an ID and a name of 65535 bytes', (image, at) => image.set32(at + 12, 0xffffffff)),
  snapshot('a VM state of 2^64 - 1 bytes', (image, at) => image.set64(at + 40, 2n ** 64n - 1n)),
  snapshot('a disk of 2^64 - 1 bytes', (image, at) => image.set64(at + 48, 2n ** 64n - 1n)),
  snapshot('a disk of 2^50 bytes', (image, at) => image.set64(at + 48, 2n ** 50n)),
  snapshot('all bytes', (image, at) => image.bytes.fill(0xff, at, at + 40)),
  snapshot('a count of 3 where there are 2', (image) => image.set32(FIELD.snapshots, 3)),
  snapshot('a table that the file cuts', (image, at) => image.resize(at + 50)),
]

const bitmap = (name: string, damage: (image: Handle, directory: number) => void): Case => ({
  name: `bitmap: ${name}`,
  base: 'bitmaps',
  bitmaps: 'broken',
  names: /[bB]itmap|granularity|extra|name|type|flags/,
  damage: (image) => damage(image, decodeHeaderArea(image.bytes).extensions.bitmaps!.directoryOffset),
})

/** Bitmap directories and tables. */
export const bitmapCases: readonly Case[] = [
  bitmap('a table offset of 0', (image, at) => image.set64(at, 0)),
  bitmap('an unaligned table', (image, at) => image.set64(at, 0x5008)),
  bitmap('a table behind the end of the file', (image, at) => image.set64(at, 2n ** 40n)),
  bitmap('a table at 2^63', (image, at) => image.set64(at, 2n ** 63n)),
  bitmap('a table without entries', (image, at) => image.set32(at + 8, 0)),
  bitmap('a table of 2^27 + 1 entries', (image, at) => image.set32(at + 8, 0x8000001)),
  bitmap('a table of 2^32 - 1 entries', (image, at) => image.set32(at + 8, 0xffffffff)),
  bitmap('another number of entries than the disk needs', (image, at) => image.set32(at + 8, 7)),
  bitmap('reserved flags', (image, at) => image.set32(at + 12, 0xfffffff8)),
  bitmap('type 0', (image, at) => void (image.bytes[at + 16] = 0)),
  bitmap('type 2', (image, at) => void (image.bytes[at + 16] = 2)),
  ...[0, 8, 32, 63, 64, 255].map((bits) => bitmap(`granularity_bits ${bits} (570542ecb1)`, (image, at) => void (image.bytes[at + 17] = bits))),
  bitmap('a name of 65535 bytes', (image, at) => image.set32(at + 18, 0xffff0000)),
  bitmap('extra data of 4 GiB', (image, at) => image.set32(at + 20, 0xffffffff)),
  bitmap('in use', (image, at) => image.set32(at + 12, 1)),
  bitmap('an unaligned cluster', (image, at) => image.set64(Number(image.u64(at)), 0x5200)),
  bitmap('a cluster behind the end of the file', (image, at) => image.set64(Number(image.u64(at)), 2n ** 40n)),
  bitmap('a cluster with reserved bits', (image, at) => image.set64(Number(image.u64(at)), 0x7f00_0000_0000_01fen)),
]
