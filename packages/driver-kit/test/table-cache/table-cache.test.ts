import { describe, expect, it } from 'vitest'
import { TableCache } from '../../src/index.ts'
import { RecordingChild } from './recording-child.ts'

const ENTRY = 4096

function setUp(entries = 4): { child: RecordingChild; cache: TableCache } {
  const child = new RecordingChild(64 * ENTRY)
  for (let i = 0; i < child.content.length; i++) child.content[i] = Math.floor(i / ENTRY)
  return { child, cache: new TableCache({ child, entrySize: ENTRY, maxBytes: entries * ENTRY }) }
}

async function change(cache: TableCache, offset: number, at: number, value: number): Promise<void> {
  const entry = await cache.load(offset)
  entry.bytes[at] = value
  cache.markDirty(entry, at, 1)
  cache.unpin(entry)
}

describe('TableCache', () => {
  it('reads a table once for all who ask at the same time, then without waiting', async () => {
    const { child, cache } = setUp()
    expect(cache.peek(ENTRY)).toBeUndefined()
    const entries = await Promise.all([cache.load(ENTRY), cache.load(ENTRY), cache.load(ENTRY)])
    expect(new Set(entries).size).toBe(1)
    expect(child.reads).toBe(1)
    expect(cache.peek(ENTRY)!.bytes[0]).toBe(1)
  })

  it('stays in its budget and evicts what was not looked at', async () => {
    const { child, cache } = setUp()
    for (let i = 0; i < 4; i++) cache.unpin(await cache.load(i * ENTRY))
    cache.unpin(await cache.load(4 * ENTRY))
    cache.peek(4 * ENTRY)
    cache.peek(2 * ENTRY)
    cache.unpin(await cache.load(5 * ENTRY))
    cache.unpin(await cache.load(6 * ENTRY))
    expect(cache.stats).toMatchObject({ entries: 4, bytes: 4 * ENTRY, evictions: 3 })
    expect(cache.peek(2 * ENTRY)).toBeDefined()
    expect(child.reads).toBe(7)
  })

  it('drops what was not used since the last time, unless somebody holds it or it has changes', async () => {
    const { child, cache } = setUp(8)
    for (let i = 0; i < 6; i++) cache.unpin(await cache.load(i * ENTRY))
    // All of them were used since the beginning.
    expect(cache.dropUnused()).toBe(0)
    cache.peek(0)
    const held = await cache.load(ENTRY)
    await change(cache, 2 * ENTRY, 5, 77)
    expect(cache.dropUnused()).toBe(3)
    expect(cache.stats).toMatchObject({ entries: 3, bytes: 3 * ENTRY, evictions: 3, dirty: 1 })
    expect(cache.dropUnused()).toBe(1)
    expect(cache.stats).toMatchObject({ entries: 2, dirty: 1 })
    expect(child.content[2 * ENTRY + 5]).toBe(2)
    cache.unpin(held)
    await cache.flush()
    // Looking at them would be using them.
    expect(cache.dropUnused()).toBe(2)
    expect(cache.stats).toMatchObject({ entries: 0, bytes: 0 })
    expect(child.content[2 * ENTRY + 5]).toBe(77)
    const before = child.reads
    expect((await cache.load(2 * ENTRY)).bytes[5]).toBe(77)
    expect(child.reads).toBe(before + 1)
  })

  it('does not drop what is being written', async () => {
    const { child, cache } = setUp()
    await change(cache, ENTRY, 5, 77)
    const batch = cache.takeDirty()
    cache.dropUnused()
    expect(cache.dropUnused()).toBe(0)
    await batch.write()
    expect(cache.dropUnused()).toBe(1)
    expect(child.content[ENTRY + 5]).toBe(77)
  })

  it('keeps pinned entries, even beyond the budget', async () => {
    const { cache } = setUp(2)
    const pinned = await Promise.all([0, 1, 2, 3].map((i) => cache.load(i * ENTRY)))
    cache.unpin(await cache.load(9 * ENTRY))
    for (const entry of pinned) expect(cache.peek(entry.offset)).toBe(entry)
    for (const entry of pinned) cache.unpin(entry)
    for (let i = 20; i < 30; i++) cache.unpin(await cache.load(i * ENTRY))
    expect(cache.stats.entries).toBeLessThanOrEqual(6)
  })

  it('never loses a change that was made between a load and its eviction', async () => {
    const { child, cache } = setUp(2)
    await Promise.all(Array.from({ length: 200 }, (_, i) => change(cache, (i % 40) * ENTRY, 10 + Math.floor(i / 40), 100 + i)))
    await cache.flush()
    for (let i = 0; i < 200; i++) expect(child.content[(i % 40) * ENTRY + 10 + Math.floor(i / 40)], `change ${i}`).toBe((100 + i) & 0xff)
    expect(child.events.at(-1)).toEqual({ op: 'flush' })
  })

  it('writes only what changed, in units', async () => {
    const child = new RecordingChild(1 << 20)
    const cache = new TableCache({ child, entrySize: 65536, maxBytes: 1 << 20 })
    await change(cache, 65536, 9000, 1)
    await cache.writeBack()
    expect(child.events).toMatchObject([{ op: 'write', offset: 65536 + 8192 }])
    expect(cache.stats).toMatchObject({ dirty: 0, bytesWritten: 4096 })
    await cache.writeBack()
    expect(child.events.length).toBe(1)
  })

  it('writes what entries held when the write-back began, and keeps later changes dirty', async () => {
    const { child, cache } = setUp()
    await change(cache, 0, 0, 11)
    const gate = Promise.withResolvers<void>()
    child.before = () => gate.promise
    const writing = cache.writeBack()
    await Promise.resolve()
    cache.peek(0)!.bytes[0] = 22
    cache.markDirty(cache.peek(0)!, 0, 1)
    gate.resolve()
    await writing
    expect(child.content[0]).toBe(11)
    await cache.writeBack()
    expect(child.content[0]).toBe(22)
  })

  it('a write-back that is asked for while one runs includes the changes before it', async () => {
    const { child, cache } = setUp()
    await change(cache, 0, 0, 1)
    const first = cache.writeBack()
    const entry = cache.peek(0)!
    entry.bytes[1] = 2
    cache.markDirty(entry, 1, 1)
    await Promise.all([first, cache.writeBack(), cache.writeBack()])
    expect([...child.content.subarray(0, 2)]).toEqual([1, 2])
    expect(child.events.length).toBe(2)
  })

  it('does not evict what is being written', async () => {
    const { child, cache } = setUp(2)
    await change(cache, 0, 0, 77)
    const gate = Promise.withResolvers<void>()
    child.before = (op) => (op === 'write' ? gate.promise : undefined)
    const writing = cache.writeBack()
    const loads = [1, 2, 3].map(async (i) => cache.unpin(await cache.load(i * ENTRY)))
    await new Promise((resolve) => setImmediate(resolve))
    expect((await cache.load(0)).bytes[0]).toBe(77)
    gate.resolve()
    await Promise.all([writing, ...loads])
  })

  it('keeps entries dirty if a write fails, and writes them later', async () => {
    const { child, cache } = setUp()
    await change(cache, 0, 0, 11)
    await change(cache, ENTRY, 0, 12)
    child.before = (op, offset) => {
      if (op === 'write' && offset === 0) throw new Error('full')
    }
    await expect(cache.writeBack()).rejects.toThrow('full')
    expect(cache.stats.dirty).toBeGreaterThan(0)
    child.before = () => {}
    await cache.writeBack()
    expect([child.content[0], child.content[ENTRY]]).toEqual([11, 12])
    expect(cache.stats.dirty).toBe(0)
  })

  it('a load fails if no room can be made, and works later', async () => {
    const { child, cache } = setUp(2)
    await change(cache, 0, 0, 1)
    await change(cache, ENTRY, 0, 1)
    child.before = (op) => {
      if (op === 'write') throw new Error('full')
    }
    await expect(cache.load(5 * ENTRY)).rejects.toThrow('full')
    child.before = () => {}
    expect((await cache.load(5 * ENTRY)).bytes[0]).toBe(5)
  })

  it('forgets a failed read', async () => {
    const { child, cache } = setUp()
    child.before = () => {
      throw new Error('bad sector')
    }
    await expect(Promise.all([cache.load(0), cache.load(0)])).rejects.toThrow('bad sector')
    child.before = () => {}
    expect((await cache.load(ENTRY)).bytes[0]).toBe(1)
  })

  it('makes tables of zeroes, and does not write dropped ones', async () => {
    const { child, cache } = setUp()
    await cache.reserve()
    cache.create(3 * ENTRY).bytes[7] = 9
    cache.create(4 * ENTRY)
    cache.drop(4 * ENTRY)
    await cache.flush()
    expect(child.content[3 * ENTRY]).toBe(0)
    expect(child.content[3 * ENTRY + 7]).toBe(9)
    expect(child.content[4 * ENTRY]).toBe(4)
    expect(child.events.filter((event) => event.op === 'write').length).toBe(1)
  })

  it('invalidate reads again what nobody changed or holds', async () => {
    const { child, cache } = setUp()
    cache.unpin(await cache.load(0))
    await change(cache, ENTRY, 0, 50)
    child.content.fill(99)
    cache.invalidate()
    expect((await cache.load(0)).bytes[0]).toBe(99)
    expect(cache.peek(ENTRY)!.bytes[0]).toBe(50)
  })

  it('a caller that orders its writes itself takes one batch at a time', async () => {
    const { child, cache } = setUp()
    await change(cache, 0, 0, 1)
    const batch = cache.takeDirty()
    expect(() => cache.takeDirty()).toThrow(expect.objectContaining({ code: 'busy' }))
    batch.restore()
    expect(cache.stats.dirty).toBe(1)
    await cache.takeDirty().write()
    expect(child.content[0]).toBe(1)
  })
})
