import type { BitmapContent, Instance } from '@blockloom/block-driver'
import type { Random } from '../harness/random.ts'

/** How many bytes the bits of a disk take. */
export function bitBytes(size: number, granularity: number): number {
  return Math.ceil(Math.ceil(size / granularity) / 8)
}

/** A bitmap with these bits, to be stored. What is asked for is told to `asked`. */
export function contentOf(name: string, granularity: number, bits: Uint8Array, auto = true, asked?: [offset: number, bytes: number][]): BitmapContent {
  return {
    name,
    granularity,
    auto,
    bits: (offset, bytes) => {
      asked?.push([offset, bytes])
      const part = bits.subarray(offset, offset + bytes)
      return part.every((byte) => byte === 0) ? null : part
    },
  }
}

/** Loads a bitmap whole; throws if chunks overlap, go backwards or go past the end. */
export async function loadBits(image: Instance, name: string): Promise<Uint8Array> {
  const { granularity } = image.bitmaps!.list().find((each) => each.name === name)!
  const bits = new Uint8Array(bitBytes(await image.size(), granularity))
  let end = 0
  await image.bitmaps!.load(name, (offset, chunk) => {
    if (offset < end || chunk.length === 0 || offset + chunk.length > bits.length) throw new Error(`a chunk of ${chunk.length} at ${offset} after ${end}, of ${bits.length}`)
    bits.set(chunk, offset)
    end = offset + chunk.length
  })
  return bits
}

/** Bits in runs of zeroes, ones and anything; none past the end of the disk. */
export function randomBits(random: Random, size: number, granularity: number, run: number): Uint8Array {
  const bits = new Uint8Array(bitBytes(size, granularity))
  for (let at = 0; at < bits.length; ) {
    const end = Math.min(bits.length, at + 1 + random.below(3 * run))
    const kind = random.below(3)
    for (; at < end; at++) bits[at] = kind === 0 ? 0 : kind === 1 ? 0xff : random.below(256)
  }
  const spare = bits.length * 8 - Math.ceil(size / granularity)
  bits[bits.length - 1]! &= 0xff >> spare
  return bits
}

/** The ranges of the disk that are dirty, in bytes. */
export function dirtyRanges(bits: Uint8Array, size: number, granularity: number): [from: number, to: number][] {
  const ranges: [number, number][] = []
  for (let granule = 0; granule < Math.ceil(size / granularity); granule++) {
    if (((bits[Math.floor(granule / 8)]! >> granule % 8) & 1) === 0) continue
    const from = granule * granularity
    const to = Math.min(size, from + granularity)
    const last = ranges.at(-1)
    if (last !== undefined && last[1] === from) last[1] = to
    else ranges.push([from, to])
  }
  return ranges
}
