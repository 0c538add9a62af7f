import { createGraph, type BlockNode } from '@blockloom/block-core'
import { raw } from '@blockloom/format-raw'
import { createMemoryDisk, memoryDriver, type MemoryDisk } from '@blockloom/protocol-memory'
import { copyImage, type CopyProgress } from 'blockloom'
import { describe, expect, test } from 'vitest'

const KIB = 1024

async function open(disk: MemoryDisk): Promise<BlockNode> {
  const graph = createGraph({ drivers: [raw, memoryDriver(new Map([['d', disk]]))] })
  return graph.open({ driver: 'raw', file: { driver: 'memory', name: 'd' }, discard: 'unmap' })
}

/** Data of a recognisable pattern where `map` says so; each letter is one 4 KiB block. */
function diskOf(map: string): MemoryDisk {
  const disk = createMemoryDisk({ size: map.length * 4 * KIB })
  for (const [i, c] of [...map].entries()) if (c !== '.') disk.write(i * 4 * KIB, new Uint8Array(4 * KIB).fill(c === '0' ? 0 : c.charCodeAt(0)))
  return disk
}
function bytes(disk: MemoryDisk): Buffer {
  const all = Buffer.alloc(disk.size)
  disk.read(0, all)
  return all
}

describe('copyImage', () => {
  test.each([{}, { parallel: 1 }, { outOfOrder: true, parallel: 16 }, { sparse: 0 }, { sparse: 64 * KIB }, { targetIsZero: false }])('copies content, %j', async (more) => {
    const source = diskOf('ab..c0d'.repeat(200))
    const target = createMemoryDisk({ size: source.size })
    await copyImage({ sources: [await open(source)], target: await open(target), targetIsZero: true, ...more })
    expect(bytes(target).equals(bytes(source))).toBe(true)
  })

  test('old content of a target that is not zero is gone', async () => {
    const source = diskOf('a..b'.repeat(64))
    const target = diskOf('x'.repeat(256))
    await copyImage({ sources: [await open(source)], target: await open(target) })
    expect(bytes(target).equals(bytes(source))).toBe(true)
  })

  test('what a larger target has behind the copy stays', async () => {
    const source = diskOf('a..b')
    const target = diskOf('x'.repeat(8))
    await copyImage({ sources: [await open(source)], target: await open(target) })
    expect(bytes(target).equals(bytes(diskOf('a..bxxxx')))).toBe(true)
  })

  test('several sources end up one behind the other', async () => {
    const sources = [diskOf('ab'), diskOf('c'), diskOf('..d')]
    const target = createMemoryDisk({ size: 6 * 4 * KIB })
    await copyImage({ sources: await Promise.all(sources.map(open)), target: await open(target), targetIsZero: true })
    expect(bytes(target).equals(Buffer.concat(sources.map(bytes)))).toBe(true)
  })

  test('zeroes stay holes: memory follows the data', async () => {
    const source = createMemoryDisk({ size: 64 << 20 })
    source.write(5 << 20, new Uint8Array(64 * KIB).fill(7))
    source.write(9 << 20, new Uint8Array(1 << 20))
    const target = createMemoryDisk({ size: source.size })
    await copyImage({ sources: [await open(source)], target: await open(target), targetIsZero: true })
    expect(target.allocatedSize).toBe(64 * KIB)
  })

  test('progress rises from 0 to the end and counts data, not holes', async () => {
    const source = createMemoryDisk({ size: 1 << 30 })
    for (let i = 0; i < 8; i++) source.write(i * (100 << 20), new Uint8Array(4 << 20).fill(1))
    const seen: CopyProgress[] = []
    await copyImage({ sources: [await open(source)], target: await open(createMemoryDisk({ size: 1 << 30 })), targetIsZero: true, onProgress: (p) => seen.push(p) })
    expect(seen[0]).toEqual({ done: 0, total: 32 << 20 })
    expect(seen.at(-1)).toEqual({ done: 32 << 20, total: 32 << 20 })
    expect(seen.length).toBeGreaterThan(8)
    for (let i = 1; i < seen.length; i++) expect(seen[i]!.done).toBeGreaterThanOrEqual(seen[i - 1]!.done)
  })

  test('an abort stops it, with the reason, and nothing is in flight any more', async () => {
    const source = diskOf('a'.repeat(16384))
    const target = await open(createMemoryDisk({ size: source.size }))
    const abort = new AbortController()
    const copy = copyImage({ sources: [await open(source)], target, targetIsZero: true, signal: abort.signal, onProgress: ({ done }) => { if (done > 0) abort.abort(new Error('enough')) } })
    await expect(copy).rejects.toThrow('enough')
    await target.drained(async () => {})
  })

  test('a write error ends it with that error', async () => {
    const target = await open(createMemoryDisk({ size: 4 << 20 }))
    target.beforeWrite(({ offset, bytes }) => { if (offset + bytes >= 3 << 20) throw new Error('ENOSPC') })
    await expect(copyImage({ sources: [await open(diskOf('a'.repeat(1024)))], target, targetIsZero: true, parallel: 8 })).rejects.toThrow('ENOSPC')
  })

  test('unreadable sectors become zeroes and are reported, if asked for', async () => {
    const source = await open(diskOf('abcd'))
    const read = source.read.bind(source)
    source.read = async (offset, into) => {
      if (offset < 4608 && offset + into.length > 4096) throw new Error('EIO')
      await read(offset, into)
    }
    const target = createMemoryDisk({ size: source.size })
    const lost: string[] = []
    await copyImage({ sources: [source], target: await open(target), targetIsZero: true, onUnreadable: (offset, n) => lost.push(`${offset}+${n}`) })
    expect(lost).toEqual(['4096+512'])
    const expected = bytes(diskOf('abcd'))
    expected.fill(0, 4096, 4608)
    expect(bytes(target)).toEqual(expected)
  })
})
