import zlib from 'node:zlib'
import { describe, expect, test } from 'vitest'
import type { CompressedPart } from '../../src/codecs/codec.ts'
import * as browser from '../../src/codecs/codecs.browser.ts'
import * as node from '../../src/codecs/codecs.node.ts'
import { zstdRows } from '../../src/codecs/zstd-rows.ts'
import { concat, generator, sample } from './samples.ts'

const CLUSTER = 4096
const codec = node.zstd()

/** Frames in one buffer, each behind so many other bytes, whose content goes side by side. */
function packed(frames: readonly Uint8Array[], gaps: readonly number[] = [], cluster = CLUSTER) {
  const into = new Uint8Array(frames.length * cluster).fill(0xee)
  const from = concat(...frames.flatMap((frame, i) => [new Uint8Array(gaps[i] ?? 0).fill(0x28), frame]), new Uint8Array(700).fill(0xb5))
  let at = 0
  const parts = frames.map((frame, i): CompressedPart => {
    at += gaps[i] ?? 0
    // An image knows the end in sectors only.
    const part = { at, bytes: Math.ceil((frame.length + 100) / 512) * 512, into: into.subarray(i * cluster, (i + 1) * cluster) }
    at += frame.length
    return part
  })
  return { from, parts, into }
}

/** Letters, so that there is something to be damaged. */
const content = (i: number, bytes = CLUSTER) => sample(bytes, generator(i)).map((byte) => 97 + (byte % 8))
const frame = (i: number, bytes = CLUSTER): Uint8Array => zlib.zstdCompressSync(content(i, bytes), { pledgedSrcSize: bytes })
/** Without Frame_Content_Size. */
const silent = (i: number): Uint8Array => zlib.zstdCompressSync(content(i), { params: { [zlib.constants.ZSTD_c_contentSizeFlag]: 0 } })
const lengths = (from: Uint8Array, parts: readonly CompressedPart[]): number[] => zstdRows(from, parts).map((row) => row.parts.length)

describe('frames that lie side by side', () => {
  test('are one row, up to 1 MiB of content', () => {
    const { from, parts } = packed([1, 2, 3, 4].map((i) => frame(i)))
    expect(lengths(from, parts)).toEqual([4])
    const many = packed(Array.from({ length: 40 }, () => frame(5, 65536)), [], 65536)
    expect(lengths(many.from, many.parts)).toEqual([16, 16, 8])
  })

  test('are several where something lies between them, or between what they fill', () => {
    const { from, parts } = packed([1, 2, 3, 4].map((i) => frame(i)), [0, 0, 1])
    expect(lengths(from, parts)).toEqual([2, 2])
    const other = packed([1, 2, 3, 4].map((i) => frame(i)))
    expect(lengths(other.from, other.parts.toReversed())).toEqual([1, 1, 1, 1])
    expect(lengths(other.from, other.parts.map((part) => ({ ...part, into: new Uint8Array(CLUSTER) })))).toEqual([1, 1, 1, 1])
  })

  test('stay alone unless each says that it gives just one cluster', () => {
    const two = concat(frame(1, 1000), frame(2, CLUSTER - 1000))
    for (const odd of [silent(9), frame(9, CLUSTER - 1), frame(9, CLUSTER + 1), two, new Uint8Array(300).fill(7)]) {
      const { from, parts } = packed([frame(1), odd, frame(3), frame(4)])
      expect(lengths(from, parts)).toEqual([1, 1, 2])
    }
  })

  test('give what each of them gives alone', async () => {
    const seed = Math.floor(Math.random() * 2 ** 31)
    const random = generator(seed)
    for (let round = 0; round < 30; round++) {
      const count = 1 + Math.floor(random() * 12)
      const frames = Array.from({ length: count }, (_, i) => (random() < 0.1 ? silent(i) : random() < 0.1 ? concat(frame(i, CLUSTER), frame(99)) : frame(i)))
      const { from, parts, into } = packed(frames, frames.map(() => (random() < 0.2 ? Math.floor(random() * 600) : 0)))
      await codec.decompressAll!(from, parts)
      expect(Buffer.compare(into, concat(...frames.map((_, i) => content(i)))), `seed ${seed}`).toBe(0)
    }
  })

  test('are damaged as each of them alone', async () => {
    const damagedFrame = frame(2)
    damagedFrame.fill(0xff, 12, 40)
    const short = [frame(1, CLUSTER - 100), frame(2, CLUSTER + 100)]
    for (const frames of [[frame(1), damagedFrame, frame(3)], [...short, frame(3)], [frame(0), frame(1).subarray(0, 20), frame(2)]]) {
      const { from, parts } = packed(frames)
      await expect(codec.decompressAll!(from, parts)).rejects.toThrow('Could not decompress zstd data')
    }
  })

  test('are the business of a decoder that knows what lies behind a frame: others take them one by one', () => {
    expect(node.zstd({ decoder: () => new Uint8Array(0) }).decompressAll).toBeUndefined()
    expect(browser.zstd().decompressAll).toBeUndefined()
    expect(node.zlibRaw().decompressAll).toBeUndefined()
  })
})
