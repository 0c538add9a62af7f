import { createGraph } from '@blockloom/block-core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { allDrivers, compareImages, type CompareOptions, type CompareResult } from '../src/index.ts'

const SIZE = 9 << 20

describe('compareImages', () => {
  let graph: ReturnType<typeof createGraph<typeof allDrivers>>
  beforeEach(() => void (graph = createGraph({ drivers: allDrivers })))
  afterEach(() => graph.close())

  const disk = async (size: number, writes: readonly (readonly [offset: number, byte: number, bytes: number])[] = []) => {
    const node = await graph.open({ driver: 'memory', size })
    for (const [offset, byte, bytes] of writes) await node.write(offset, new Uint8Array(bytes).fill(byte))
    return node
  }
  const compare = async (a: Parameters<typeof disk>, b: Parameters<typeof disk>, options: CompareOptions = {}): Promise<CompareResult> =>
    compareImages(await disk(...a), await disk(...b), options)

  test('finds the first sector that differs, wherever it lies in a piece', async () => {
    const data = [0, 1, SIZE] as const
    expect(await compare([SIZE, [data]], [SIZE, [data]])).toEqual({ identical: true, sizesDiffer: false })
    for (const at of [0, 511, 512, (2 << 20) - 1, 2 << 20, 5_000_000, SIZE - 1]) {
      const offset = at - (at % 512)
      expect(await compare([SIZE, [data]], [SIZE, [data, [at, 2, 1]]]), `${at}`).toEqual({ identical: false, reason: 'content', offset })
      expect(await compare([SIZE], [SIZE, [[at, 2, 1], [SIZE - 1, 3, 1]]]), `${at} against nothing`).toEqual({ identical: false, reason: 'content', offset })
    }
  })

  test('what is missing at the end counts as zeroes', async () => {
    let told = 0
    const options = { onSizeMismatch: () => void told++ }
    expect(await compare([1 << 20], [SIZE, [[2 << 20, 0, 4096]]], options)).toEqual({ identical: true, sizesDiffer: true })
    expect(await compare([SIZE, [[3_000_000, 1, 1]]], [1 << 20], options)).toEqual({ identical: false, reason: 'content', offset: 2_999_808 })
    expect(told).toBe(2)
    expect(await compare([SIZE], [1 << 20], { ...options, strict: true })).toEqual({ identical: false, reason: 'size', offset: 1 << 20 })
    expect(told).toBe(2)
  })

  test('a part of a sector more or less is no difference in size', async () => {
    expect(await compare([1000], [1024])).toEqual({ identical: true, sizesDiffer: false })
    expect(await compare([1000, [[0, 7, 1000]]], [1001, [[0, 7, 1001]]])).toEqual({ identical: false, reason: 'content', offset: 1000 })
  })

  test('progress goes up to the size of the longer image', async () => {
    const seen: number[] = []
    await compare([SIZE, [[0, 1, SIZE]]], [SIZE, [[0, 1, SIZE]]], { onProgress: ({ done, total }) => void seen.push(done / total) })
    expect(seen[0]).toBe(0)
    expect(seen.at(-1)).toBe(1)
    expect(seen).toEqual(seen.toSorted((a, b) => a - b))
  })

  test('an abort stops it', async () => {
    const reason = new Error('enough')
    await expect(compare([SIZE], [SIZE], { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  })
})
