import { describe, expect, it } from 'vitest'
import { type Mapping, mappedFormat } from '../../src/index.ts'
import { MemoryChild } from '../memory-child.ts'
import { generator, randomBytes } from '../codecs/samples.ts'

const BLOCK = 64

/** A toy: a table in memory from blocks to places in the file; 0 = absent, -1 = zero. */
class Toy {
  readonly file = new MemoryChild(new Uint8Array(BLOCK))
  readonly table: number[]
  readonly backing: MemoryChild | null
  allocated = 0
  aborted = 0
  slow = false
  maps = 0
  flushed: string[] = []
  readonly bytes: number

  constructor(bytes: number, backing: MemoryChild | null = null) {
    this.bytes = bytes
    this.table = new Array<number>(Math.ceil(bytes / BLOCK)).fill(0)
    this.backing = backing
  }

  map(offset: number): Mapping | Promise<Mapping> {
    this.maps++
    const inside = offset % BLOCK
    const place = this.table[Math.floor(offset / BLOCK)]!
    const bytes = BLOCK - inside
    const mapping: Mapping = place > 0 ? { kind: 'data', bytes, host: place + inside } : { kind: place < 0 ? 'zero' : 'absent', bytes }
    return this.slow ? Promise.resolve(mapping) : mapping
  }

  hooks(readsAsZero = true) {
    return mappedFormat({
      file: this.file,
      backing: { current: this.backing },
      size: () => this.bytes,
      map: (offset) => this.map(offset),
      writing: {
        blockSize: BLOCK,
        allocate: async (start) => {
          const host = BLOCK * (1 + this.allocated++)
          return {
            host,
            readsAsZero,
            commit: async () => void (this.table[start / BLOCK] = host),
            abort: () => void this.aborted++,
          }
        },
        flush: async (scope) => void this.flushed.push(scope),
      },
    })
  }
}

describe('reading', () => {
  it('of neighbours that follow each other in the file is one request', async () => {
    const toy = new Toy(BLOCK * 6)
    toy.file.bytes = randomBytes(BLOCK * 8, generator(1))
    toy.table.splice(0, 6, 64, 128, 192, -1, -1, 384)
    const into = new Uint8Array(BLOCK * 6 - 20).fill(9)
    await toy.hooks().read(10, into, 0)
    expect(toy.file.reads).toEqual([[74, 182], [384, 54]])
    expect(into.subarray(0, 182)).toEqual(toy.file.bytes.slice(74, 256))
    expect(into.subarray(182, 182 + 128)).toEqual(new Uint8Array(128))
    expect(into.subarray(310)).toEqual(toy.file.bytes.slice(384, 438))
  })

  it('asks the map once for a request inside one place', async () => {
    const toy = new Toy(BLOCK)
    toy.table[0] = 64
    await toy.hooks().read(3, new Uint8Array(20), 0)
    expect([toy.maps, toy.file.reads]).toEqual([1, [[67, 20]]])
  })

  it('of absent bytes goes to the backing child, and gives zeroes without one', async () => {
    const backing = new MemoryChild(Uint8Array.from({ length: 100 }, (_, i) => i))
    const into = new Uint8Array(128).fill(9)
    await new Toy(BLOCK * 2, backing).hooks().read(0, into, 0)
    expect(into).toEqual(Uint8Array.from({ length: 128 }, (_, i) => (i < 100 ? i : 0)))
    expect(backing.reads).toEqual([[0, 128]])
    await new Toy(BLOCK * 2).hooks().read(0, into, 0)
    expect(into).toEqual(new Uint8Array(128))
  })

  it('fails only when nothing writes to the buffer any more', async () => {
    const toy = new Toy(BLOCK * 4)
    toy.file.bytes = new Uint8Array(BLOCK * 9).fill(1)
    toy.table.splice(0, 4, 64, 192, 320, 448)
    let running = 0
    toy.file.before = async (_what, offset) => {
      if (offset === 64) throw new Error('bad sector')
      running++
      await new Promise((resolve) => setTimeout(resolve, 5))
      running--
    }
    await expect(toy.hooks().read(0, new Uint8Array(BLOCK * 4), 0)).rejects.toThrow('bad sector')
    expect(running).toBe(0)
  })

  it('does not loop on a map that says nothing', async () => {
    const hooks = mappedFormat({ file: new MemoryChild(), size: () => 64, map: () => ({ kind: 'zero', bytes: 0 }) })
    await expect(hooks.read(0, new Uint8Array(64), 0)).rejects.toThrow(expect.objectContaining({ code: 'corrupt' }))
    await expect(hooks.extents(0, 64)).rejects.toThrow(expect.objectContaining({ code: 'corrupt' }))
    expect(hooks.writer).toBeUndefined()
  })
})

describe('extents', () => {
  it('are as long as possible and end with the question', async () => {
    const toy = new Toy(BLOCK * 6)
    toy.table.splice(0, 6, 64, 128, -1, 0, 0, 64)
    const { extents } = toy.hooks()
    const child = toy.file
    expect(await extents(10, BLOCK * 6 - 10)).toEqual({ kind: 'data', bytes: 118, host: { child, offset: 74 } })
    expect(await extents(10, 5)).toEqual({ kind: 'data', bytes: 5, host: { child, offset: 74 } })
    expect(await extents(128, BLOCK * 4)).toEqual({ kind: 'zero', bytes: 64 })
    expect(await extents(192, BLOCK * 3)).toEqual({ kind: 'absent', bytes: 128 })
  })

  it('tell where allocated zeroes lie', async () => {
    const file = new MemoryChild()
    const { extents } = mappedFormat({ file, size: () => 256, map: (offset) => ({ kind: 'zero', bytes: 64, host: 1000 + offset }) })
    expect(await extents(64, 128)).toEqual({ kind: 'zero', bytes: 128, host: { child: file, offset: 1064 } })
  })
})

describe('writing', () => {
  it('goes in place where there is a place', async () => {
    const toy = new Toy(BLOCK * 2)
    toy.file.bytes = new Uint8Array(BLOCK * 3)
    toy.table.splice(0, 2, 64, 128)
    await toy.hooks().writer!.write(60, new Uint8Array(10).fill(7), 0)
    expect(toy.file.writes).toEqual([[124, 10]])
    expect(toy.allocated).toBe(0)
  })

  it('fills a new block with what was there before, but not from behind our end', async () => {
    const backing = new MemoryChild(new Uint8Array(1000).fill(5))
    const toy = new Toy(BLOCK + 40, backing)
    await toy.hooks().writer!.write(BLOCK + 10, new Uint8Array(4).fill(7), 0)
    const block = new Uint8Array(BLOCK).fill(5, 0, 40).fill(7, 10, 14)
    expect(toy.file.bytes.slice(64, 128)).toEqual(block)
  })

  it('writes only the new bytes where everything reads as zeroes', async () => {
    const toy = new Toy(BLOCK)
    await toy.hooks(true).writer!.write(10, new Uint8Array(4).fill(7), 0)
    expect(toy.file.writes).toEqual([[74, 4]])
    const dirty = new Toy(BLOCK)
    await dirty.hooks(false).writer!.write(10, new Uint8Array(4).fill(7), 0)
    expect(dirty.file.writes).toEqual([[64, 64]])
  })

  it('allocates a block once for requests that meet in it', async () => {
    const toy = new Toy(BLOCK)
    const { writer, read } = toy.hooks(false)
    await Promise.all([0, 16, 32, 48].map((at) => writer!.write(at, new Uint8Array(16).fill(at + 1), 0)))
    expect(toy.allocated).toBe(1)
    const into = new Uint8Array(BLOCK)
    await read(0, into, 0)
    expect(into).toEqual(Uint8Array.from({ length: 64 }, (_, i) => Math.floor(i / 16) * 16 + 1))
  })

  it('maps nothing and gives the place back when the data cannot be written', async () => {
    const toy = new Toy(BLOCK)
    toy.file.before = async (what) => {
      if (what === 'write') throw new Error('disk full')
    }
    const { writer } = toy.hooks()
    await expect(writer!.write(0, new Uint8Array(BLOCK), 0)).rejects.toThrow('disk full')
    expect([toy.table, toy.aborted]).toEqual([[0], 1])
    toy.file.before = async () => {}
    await writer!.write(0, new Uint8Array(BLOCK).fill(3), 0)
    expect(toy.table[0]).toBeGreaterThan(0)
  })

  it('hands flush to the format', async () => {
    const toy = new Toy(BLOCK)
    await toy.hooks().writer!.flush('stable')
    expect(toy.flushed).toEqual(['stable'])
  })
})

describe.each([['at once', false], ['by promise', true]])('with a map that answers %s', (_how, slow) => {
  it('behaves like an array of bytes under random requests, many at a time', async () => {
    const seed = Math.floor(Math.random() * 2 ** 31)
    const random = generator(seed)
    const size = BLOCK * 40 + 24
    const backing = new MemoryChild(randomBytes(BLOCK * 25 + 7, random))
    const toy = new Toy(size, backing)
    toy.slow = slow
    toy.file.before = async () => {
      for (let turns = Math.floor(random() * 4); turns > 0; turns--) await undefined
    }
    const { read, writer, extents } = toy.hooks(random() < 0.5)
    const model = new Uint8Array(size)
    model.set(backing.bytes.subarray(0, size))
    for (let round = 0; round < 60; round++) {
      // Disjoint writes at the same time; overlapping ones have no order.
      const step = Math.ceil(size / 8)
      await Promise.all(
        Array.from({ length: 8 }, async (_, lane) => {
          const from = lane * step + Math.floor(random() * step)
          const bytes = randomBytes(Math.floor(random() * (Math.min(size, (lane + 1) * step) - from)), random)
          if (bytes.length === 0) return
          model.set(bytes, from)
          await writer!.write(from, bytes, 0)
        }),
      )
      const offset = Math.floor(random() * (size - 1))
      const into = new Uint8Array(1 + Math.floor(random() * (size - offset - 1)))
      await read(offset, into, 0)
      expect(Buffer.compare(into, model.subarray(offset, offset + into.length)), `seed ${seed} round ${round}`).toBe(0)
      for (let at = 0; at < size; ) {
        const extent = await extents(at, size - at)
        if (extent.kind === 'data') {
          const there = toy.file.bytes.subarray(extent.host!.offset, extent.host!.offset + extent.bytes)
          expect(Buffer.compare(there, model.subarray(at, at + extent.bytes).subarray(0, there.length)), `seed ${seed} round ${round}`).toBe(0)
        }
        at += extent.bytes
      }
    }
  })
})
