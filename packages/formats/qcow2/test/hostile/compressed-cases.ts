import { constants, deflateRawSync, deflateSync, zstdCompressSync } from 'node:zlib'
import type { Case } from './case.ts'
import { COMPRESSED, type Handle } from './handle.ts'

const compressed = (name: string, damage: (image: Handle) => void, base: Case['base'] = 'plain', differs?: Case['differs']): Case => ({
  name,
  base,
  damage,
  names: /ompress|luster|corrupt|io|I\/O/,
  ...(differs === undefined ? {} : { differs }),
})

const zeroes = (bytes: number): Uint8Array => new Uint8Array(bytes)

/** A stored block of DEFLATE that holds nothing. */
const EMPTY_BLOCK = [0, 0, 0, 0xff, 0xff]

/** Compressed with the level that the reference uses, whatever the window. */
const deflated = (bytes: Uint8Array): Uint8Array => deflateRawSync(bytes, { windowBits: 12 })

function zstdFrame(descriptor: number, ...rest: readonly number[]): Uint8Array {
  return new Uint8Array([0x28, 0xb5, 0x2f, 0xfd, descriptor, ...rest])
}

function repeated(bytes: readonly number[], length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => bytes[i % bytes.length]!)
}

/** Compressed clusters: bombs, cut streams, streams that never end. */
export const compressedCases: readonly Case[] = [
  compressed('zlib: a bomb of 64 MiB in a cluster', (image) => image.compressed(1, deflated(zeroes(64 << 20)))),
  compressed('zlib: a cluster and a byte', (image) => image.compressed(1, deflated(zeroes(4097)))),
  compressed('zlib: a cluster but a byte', (image) => image.compressed(1, deflated(zeroes(4095)))),
  compressed('zlib: nothing', (image) => image.compressed(1, deflated(zeroes(0)))),
  compressed('zlib: a stream that is cut', (image) => image.compressed(1, deflateRawSync(Uint8Array.from({ length: 4096 }, (_, i) => (i * i * 7) >> 5), { windowBits: 12 }).subarray(0, 300))),
  compressed('zlib: empty blocks without end', (image) => image.compressed(1, repeated(EMPTY_BLOCK, 4000))),
  compressed('zlib: an invalid block type', (image) => image.compressed(1, new Uint8Array(512).fill(0xff))),
  compressed('zlib: with the header that belongs to zlib', (image) => image.compressed(1, deflateSync(zeroes(4096)))),
  compressed('zlib: a distance behind the start', (image) => image.compressed(1, new Uint8Array([0x4b, 0x04, 0xf2, 0x01, 0, 0]))),
  compressed('zlib: no data', (image) => image.compressed(1, zeroes(512))),
  compressed('zlib: two streams', (image) => image.compressed(1, Uint8Array.from([...deflated(zeroes(2048)), ...deflated(zeroes(2048))]))),
  compressed('behind the end of the file', (image) => image.entry(1, COMPRESSED | 0x10_0000_0000n)),
  compressed('at the last byte of the file', (image) => image.entry(1, COMPRESSED | BigInt(image.bytes.length - 1))),
  compressed('at the largest offset', (image) => image.entry(1, COMPRESSED | ((1n << 58n) - 1n))),
  compressed('with the most sectors', (image) => image.compressed(1, deflated(new Uint8Array(4096).fill(9)), 15)),
  compressed('with sectors behind the end of the file', (image) => image.compressed(1, deflated(new Uint8Array(4096).fill(9)), 15)),
  compressed('in the header', (image) => image.entry(1, COMPRESSED | (3n << 58n))),
  compressed('in its own L2 table', (image) => image.entry(1, COMPRESSED | (7n << 58n) | BigInt(image.l2))),
  compressed('COPIED and compressed', (image) => image.entry(8, image.entryOf(8) | (1n << 63n))),
  compressed('extended L2: with subcluster bits', (image) => image.set64(image.l2 + 2 * 16 + 8, 0xffff_ffff_ffff_ffffn), 'extended'),
  compressed('zstd: a bomb of 64 MiB in a cluster', (image) => image.compressed(1, zstdCompressSync(zeroes(64 << 20))), 'zstd'),
  compressed('zstd: a cluster and a byte', (image) => image.compressed(1, zstdCompressSync(zeroes(4097))), 'zstd'),
  compressed('zstd: a cluster but a byte', (image) => image.compressed(1, zstdCompressSync(zeroes(4095))), 'zstd'),
  compressed('zstd: a stream that is cut', (image) => image.compressed(1, zstdCompressSync(Uint8Array.from({ length: 4096 }, (_, i) => (i * i * 7) >> 5)).subarray(0, 300)), 'zstd'),
  compressed('zstd: empty blocks without end', (image) => image.compressed(1, Uint8Array.from([...zstdFrame(0, 0x10), ...repeated([0, 0, 0], 4000)])), 'zstd'),
  compressed('zstd: empty frames without end', (image) => image.compressed(1, repeated([...zstdCompressSync(zeroes(0))], 4000)), 'zstd'),
  compressed('zstd: skippable frames without end', (image) => image.compressed(1, repeated([0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0], 4000)), 'zstd'),
  compressed('zstd: a skippable frame of 4 GiB', (image) => image.compressed(1, new Uint8Array([0x50, 0x2a, 0x4d, 0x18, 0xff, 0xff, 0xff, 0xff, 0, 0])), 'zstd'),
  compressed('zstd: a window of 128 MiB', (image) => image.compressed(1, zstdFrame(0, 17 << 3, 0x03, 0x80, 0x00, 7)), 'zstd', { why: 'no cluster needs a window of more than 2 MiB', read: 'refuses' }),
  compressed('zstd: a window of 2 GiB', (image) => image.compressed(1, zstdFrame(0, 21 << 3, 0x03, 0x80, 0x00, 7)), 'zstd'),
  compressed('zstd: the largest window', (image) => image.compressed(1, zstdFrame(0, 0xff, 0x03, 0x80, 0x00, 7)), 'zstd'),
  compressed('zstd: a content size of 2^64 - 1', (image) => image.compressed(1, zstdFrame(0xe0, ...new Array<number>(8).fill(0xff), 0x03, 0x80, 0x00, 7)), 'zstd'),
  compressed('zstd: a dictionary', (image) => image.compressed(1, zstdFrame(0x23, 1, 2, 3, 4, 0, 0x03, 0x80, 0x00, 7)), 'zstd'),
  compressed('zstd: a wrong checksum', (image) => {
    const stream = zstdCompressSync(Uint8Array.from({ length: 4096 }, (_, i) => i >> 4), { params: { [constants.ZSTD_c_checksumFlag]: 1 } })
    stream[stream.length - 1]! ^= 1
    image.compressed(1, stream)
  }, 'zstd'),
  compressed('zstd: two frames', (image) => image.compressed(1, Uint8Array.from([...zstdCompressSync(new Uint8Array(2048).fill(1)), ...zstdCompressSync(new Uint8Array(2048).fill(2))])), 'zstd'),
  compressed('zstd: deflate instead', (image) => image.compressed(1, deflated(zeroes(4096))), 'zstd'),
  compressed('zstd: no data', (image) => image.compressed(1, zeroes(512)), 'zstd'),
]
