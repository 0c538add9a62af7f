import { describe, expect, it } from 'vitest'
import { type TableClaim, checkedTable, readTable, visitTable } from '../../src/index.ts'
import { MemoryChild } from '../memory-child.ts'

const good: TableClaim = { offset: 1024, entries: 100, entryBytes: 8, maxBytes: 4096, fileSize: 1824, alignment: 512 }

describe('checkedTable', () => {
  it('passes a table that ends with the file', () => {
    expect(checkedTable('L1 table', good)).toEqual({ name: 'L1 table', offset: 1024, bytes: 800 })
    expect(checkedTable('L1 table', { ...good, entries: 0, offset: 512 * 1000 })).toMatchObject({ bytes: 0 })
    expect(checkedTable('L1 table', { ...good, fileSize: Infinity, offset: 512 * 1000 })).toMatchObject({ bytes: 800 })
  })

  it.each<[Partial<TableClaim>, string]>([
    [{ entries: 513 }, 'BAT is too large (4104 bytes, at most 4096)'],
    [{ entries: 2 ** 60 }, 'BAT has an invalid number of entries'],
    [{ entries: 2 ** 52 }, 'BAT has an invalid number of entries'],
    [{ entries: -1 }, 'BAT has an invalid number of entries (-1)'],
    [{ entries: 1.5 }, 'BAT has an invalid number of entries (1.5)'],
    [{ entries: NaN }, 'BAT has an invalid number of entries (NaN)'],
    [{ offset: -512 }, 'BAT has an invalid offset (-512)'],
    [{ offset: 2 ** 60 }, 'BAT has an invalid offset'],
    [{ offset: 1025 }, 'BAT is not aligned to 512 bytes (offset 1025)'],
    [{ fileSize: 1823 }, 'BAT lies outside the file (offset 1024, 800 bytes, file size 1823)'],
  ])('refuses %o', (change, message) => {
    expect(() => checkedTable('BAT', { ...good, ...change })).toThrow(
      expect.objectContaining({ code: 'corrupt', message: expect.stringContaining(message), detail: expect.objectContaining({ table: 'BAT' }) }),
    )
  })
})

describe('reading tables', () => {
  const child = () => new MemoryChild(Uint8Array.from({ length: 5000 }, (_, i) => i % 251))
  const table = { name: 't', offset: 100, bytes: 2500 }

  it('reads in pieces of bounded length', async () => {
    const file = child()
    expect(await readTable(file, table, { chunkBytes: 1000 })).toEqual(file.bytes.slice(100, 2600))
    expect(file.reads).toEqual([[100, 1000], [1100, 1000], [2100, 500]])
  })

  it('visits pieces in order', async () => {
    const file = child()
    const seen: number[] = []
    await visitTable(file, table, (piece, at) => {
      expect([...piece]).toEqual([...file.bytes.subarray(100 + at, 100 + at + piece.length)])
      seen.push(at, piece.length)
    }, { chunkBytes: 1000 })
    expect(seen).toEqual([0, 1000, 1000, 1000, 2000, 500])
  })

  it('stops between two pieces when aborted', async () => {
    const controller = new AbortController()
    const file = child()
    const visited = visitTable(file, table, () => controller.abort(new Error('enough')), { chunkBytes: 1000, signal: controller.signal })
    await expect(visited).rejects.toThrow('enough')
    expect(file.reads.length).toBe(1)
  })
})
