import { describe, expect, it } from 'vitest'
import { TableCache } from '../../src/index.ts'
import { RecordingChild, type Event } from './recording-child.ts'

const ENTRY = 512

function random(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
    return Math.floor((state / 0x80000000) * below)
  }
}

describe('the order of two caches', () => {
  it('writes and flushes the other cache first', async () => {
    const child = new RecordingChild(16 * ENTRY)
    const first = new TableCache({ child, entrySize: ENTRY, maxBytes: 8 * ENTRY })
    const second = new TableCache({ child, entrySize: ENTRY, maxBytes: 8 * ENTRY })
    second.create(8 * ENTRY)
    first.create(0)
    second.dependsOn(first)
    await second.writeBack()
    expect(child.events.map((event) => (event.op === 'write' ? event.offset : 'flush'))).toEqual([0, 'flush', 8 * ENTRY])
    // Once satisfied it is forgotten.
    second.create(9 * ENTRY)
    await second.writeBack()
    expect(child.events.length).toBe(4)
  })

  it('flushes another child first', async () => {
    const events: Event[] = []
    const data = new RecordingChild(ENTRY, events)
    const child = new RecordingChild(ENTRY, events)
    const cache = new TableCache({ child, entrySize: ENTRY, maxBytes: ENTRY })
    cache.create(0)
    cache.dependsOnFlush(data)
    data.before = () => {
      throw new Error('flush failed')
    }
    await expect(cache.writeBack()).rejects.toThrow('flush failed')
    expect(events).toEqual([])
    data.before = () => {}
    await cache.writeBack()
    expect(events.map((event) => event.op)).toEqual(['flush', 'write'])
  })

  it('refuses caches that wait for each other', () => {
    const child = new RecordingChild(ENTRY)
    const [a, b, c] = [0, 1, 2].map(() => new TableCache({ child, entrySize: ENTRY, maxBytes: ENTRY }))
    a!.dependsOn(b!)
    b!.dependsOn(c!)
    expect(() => c!.dependsOn(a!)).toThrow(expect.objectContaining({ code: 'invalid' }))
  })

  // `tables` counts up to a number only after `counts` has reached it: whatever part of the unflushed writes is on the
  // disk after a crash, no table may be ahead of its count.
  it('holds after a crash at any point, whatever was written of what no flush covers', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const next = random(seed)
      const child = new RecordingChild(32 * ENTRY)
      child.before = async () => {
        for (let turns = next(4); turns > 0; turns--) await Promise.resolve()
      }
      const counts = new TableCache({ child, entrySize: ENTRY, maxBytes: 3 * ENTRY })
      const tables = new TableCache({ child, entrySize: ENTRY, maxBytes: 3 * ENTRY })
      const raise = async (i: number): Promise<void> => {
        const count = await counts.load(i * ENTRY)
        const table = await tables.load((16 + i) * ENTRY)
        count.bytes[0]!++
        counts.markDirty(count, 0, 1)
        table.bytes[0] = count.bytes[0]!
        tables.markDirty(table, 0, 1)
        tables.dependsOn(counts)
        counts.unpin(count)
        tables.unpin(table)
      }
      for (let round = 0; round < 20; round++) {
        await Promise.all(Array.from({ length: 8 }, () => raise(next(10))))
        if (next(3) === 0) await tables.flush()
      }
      await tables.flush()

      for (let trial = 0; trial < 200; trial++) {
        const cut = next(child.events.length + 1)
        const events = child.events.slice(0, cut)
        const stable = events.findLastIndex((event) => event.op === 'flush')
        const disk = new Uint8Array(32 * ENTRY)
        events.forEach((event, index) => {
          if (event.op === 'write' && (index < stable || next(2) === 0)) disk.set(event.bytes, event.offset)
        })
        for (let i = 0; i < 10; i++) {
          expect(disk[(16 + i) * ENTRY], `seed ${seed}, cut ${cut}, table ${i}`).toBeLessThanOrEqual(disk[i * ENTRY]!)
        }
      }
    }
  })
})
