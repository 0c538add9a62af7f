import { createGraph, type BlockNode } from '@blockloom/block-core'
import { BlockError, defineDriver, DONE, isBlockError, limits, RequestFlag, type Limits } from '@blockloom/block-driver'
import { describe, expect, test } from 'vitest'
import { diskDriver, TestDisk } from './drivers.ts'

async function setup(size: number, limits: Partial<Limits> = {}, spec: object = {}): Promise<{ disk: TestDisk; node: BlockNode }> {
  const disk = new TestDisk(size, limits)
  const graph = createGraph({ drivers: [diskDriver({ d: disk })] })
  return { disk, node: await graph.openSpec({ driver: 'file', filename: 'd', discard: 'unmap', ...spec }) }
}
const failure = async (p: Promise<unknown>): Promise<BlockError> => p.then(() => Promise.reject(new Error('did not fail')), (e: unknown) => { if (!isBlockError(e)) throw e; return e })

/** mulberry32 */
function random(seed: number): () => number {
  let s = seed
  return () => {
    s = (s + 0x6d2b79f5) | 0
    let t = Math.imul(s ^ (s >>> 15), 1 | s)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

describe('any byte range works on any alignment', () => {
  test.each([1, 512, 4096])('alignment %i, random requests against a model', async (align) => {
    const seed = Math.floor(Math.random() * 1e9)
    const rand = random(seed)
    const size = 8 * 4096
    const { disk, node } = await setup(size, { requestAlignment: align, maxTransfer: 2 * 4096, zeroAlignment: 4096, maxZero: 4096, discardAlignment: 4096 })
    const model = new Uint8Array(size)
    for (let i = 0; i < 400; i++) {
      const offset = Math.floor(rand() * size)
      const bytes = Math.floor(rand() * Math.min(size - offset, 3 * 4096))
      const fill = Math.floor(rand() * 256)
      const kind = rand()
      if (kind < 0.4) {
        await node.write(offset, new Uint8Array(bytes).fill(fill))
        model.fill(fill, offset, offset + bytes)
      } else if (kind < 0.6) {
        disk.zeroAttempt = rand() < 0.5 ? 'done' : 'unsupported'
        await node.zero(offset, bytes)
        model.fill(0, offset, offset + bytes)
      } else {
        const got = new Uint8Array(bytes)
        await node.read(offset, got)
        expect(got, `seed ${seed}`).toEqual(model.subarray(offset, offset + bytes))
      }
    }
    expect(disk.bytes, `seed ${seed}`).toEqual(model)
  })

  test('unaligned writers to one block do not lose each other', async () => {
    const { disk, node } = await setup(4096, { requestAlignment: 4096 })
    disk.before = () => new Promise((resolve) => setImmediate(resolve))
    await Promise.all(Array.from({ length: 64 }, (_, i) => node.write(i * 64, new Uint8Array(64).fill(i + 1))))
    for (let i = 0; i < 4096; i++) expect(disk.bytes[i]).toBe(Math.floor(i / 64) + 1)
  })
})

describe('limits', () => {
  test('long requests are split, short ones reach the driver in one piece', async () => {
    const { disk, node } = await setup(10000, { maxTransfer: 4000, zeroAlignment: 100, maxZero: 1050, discardAlignment: 1000, maxDiscard: 2500 })
    await node.write(0, new Uint8Array(9000))
    await node.read(10, new Uint8Array(4000))
    await node.zero(150, 2500)
    await node.discard(500, 6000)
    expect(disk.log).toEqual([
      'write 0+4000', 'write 4000+4000', 'write 8000+1000', 'read 10+4000',
      'write 150+50', 'zero 200+1000', 'zero 1200+1000', 'zero 2200+400', 'write 2600+50',
      'discard 1000+2000', 'discard 3000+2000', 'discard 5000+1000',
    ])
  })

  test('zeroing falls back to data, unless no fallback is allowed', async () => {
    const { disk, node } = await setup(3 << 20)
    disk.zeroAttempt = 'unsupported'
    disk.bytes.fill(1)
    await node.zero(0, 3 << 20)
    expect(disk.bytes.every((b) => b === 0)).toBe(true)
    expect((await failure(node.zero(0, 512, RequestFlag.NO_FALLBACK))).code).toBe('unsupported')
  })

  test('requests of no bytes reach nobody', async () => {
    const { disk, node } = await setup(4096, { requestAlignment: 512 })
    for (const at of [0, 7, 4096]) {
      await node.read(at, new Uint8Array(0))
      await node.write(at, new Uint8Array(0))
      await node.zero(at, 0)
      await node.discard(at, 0)
    }
    expect(disk.log).toEqual([])
  })

  test('discards are dropped unless the node unmaps', async () => {
    const { disk, node } = await setup(4096, {}, { discard: 'ignore' })
    await node.discard(0, 4096)
    expect(disk.log).toEqual([])
  })
})

describe('ranges and permissions', () => {
  test.each([[-1, 1], [0, 4097], [4096, 1], [0.5, 1], [NaN, 1], [2 ** 53, 1]])('a request at %d of %d bytes is refused', async (offset, bytes) => {
    const { node } = await setup(4096)
    const error = await failure(node.read(offset, new Uint8Array(bytes)))
    expect([error.code, error.errno]).toEqual(['range', 'EIO'])
    expect((await failure(node.write(offset, new Uint8Array(bytes)))).code).toBe('range')
    expect((await failure(node.zero(offset, bytes))).code).toBe('range')
    expect((await failure(node.discard(offset, bytes))).code).toBe('range')
  })

  test('a read-only node refuses writes with EPERM', async () => {
    const { disk, node } = await setup(4096, {}, { 'read-only': true })
    for (const attempt of [node.write(0, new Uint8Array(1)), node.zero(0, 1), node.discard(0, 1), node.resize(1)]) {
      expect((await failure(attempt)).errno).toBe('EPERM')
    }
    expect(disk.log).toEqual([])
  })
})

describe('flush', () => {
  test('of an unchanged node is free; callers that wait share one', async () => {
    const { disk, node } = await setup(4096)
    await node.flush()
    expect(disk.log).toEqual([])
    await node.write(0, new Uint8Array(1))
    let release!: () => void
    disk.before = (what) => (what === 'flush' ? new Promise((r) => { release = r }) : undefined)
    const first = node.flush()
    await Promise.resolve()
    await node.write(1, new Uint8Array(1))
    const others = Promise.all([node.flush(), node.flush(), node.flush()])
    await Promise.resolve()
    release()
    await first
    // The write came after the first flush began: it needs another one.
    await new Promise((r) => setImmediate(r))
    release()
    await others
    expect(disk.log.filter((l) => l === 'flush')).toHaveLength(2)
    await node.flush()
    expect(disk.log.filter((l) => l === 'flush')).toHaveLength(2)
  })

  test('a failed flush is tried again, and does not fail those who came later', async () => {
    const { disk, node } = await setup(4096)
    await node.write(0, new Uint8Array(1))
    let fail = true
    disk.before = (what) => { if (what === 'flush' && fail) { fail = false; throw new Error('EIO') } }
    const results = await Promise.allSettled([node.flush(), node.flush()])
    expect(results.map((r) => r.status)).toEqual(['rejected', 'fulfilled'])
  })

  test('FUA is emulated where the driver has none', async () => {
    const { disk, node } = await setup(4096)
    await node.write(0, new Uint8Array(1), RequestFlag.FUA)
    expect(disk.log).toEqual(['write 0+1', 'flush'])
  })
})

describe('zero detection, notifiers, drain, resize', () => {
  test('writes of zeroes become write-zeroes', async () => {
    const { disk, node } = await setup(8192, {}, { 'detect-zeroes': 'unmap' })
    await node.write(1, new Uint8Array(5000))
    await node.write(0, new Uint8Array(100).fill(1, 99))
    const minusZero = new Uint8Array(64)
    minusZero[7] = 0x80
    await node.write(0, minusZero)
    expect(disk.log).toEqual(['zero 1+5000', 'write 0+100', 'write 0+64'])
  })

  test('a notifier may delay or refuse a write', async () => {
    const { disk, node } = await setup(8192)
    const seen: string[] = []
    const remove = node.beforeWrite(async ({ kind, offset, bytes }) => {
      await new Promise((r) => setImmediate(r))
      seen.push(`${kind} ${offset}+${bytes}`)
      if (offset === 7) throw new Error('not this one')
    })
    await node.write(3, new Uint8Array(4))
    await expect(node.write(7, new Uint8Array(1))).rejects.toThrow('not this one')
    await node.zero(0, 10)
    remove()
    await node.write(7, new Uint8Array(1))
    expect(seen).toEqual(['write 3+4', 'write 7+1', 'zero 0+10'])
    expect(disk.log).toEqual(['write 3+4', 'zero 0+10', 'write 7+1'])
  })

  test('drained work runs with nothing in flight; requests wait for its end', async () => {
    const { disk, node } = await setup(4096)
    let release!: () => void
    disk.before = () => new Promise((r) => { release = r })
    const slow = node.write(0, Uint8Array.of(1))
    const order: string[] = []
    const work = node.drained(async () => void order.push('work'))
    const later = node.read(0, new Uint8Array(1)).then(() => order.push('read'))
    await new Promise((r) => setImmediate(r))
    expect(order).toEqual([])
    disk.before = () => {}
    release()
    await Promise.all([slow, work, later])
    expect(order).toEqual(['work', 'read'])
  })

  test('resize changes the size, and shows in reads', async () => {
    const { node } = await setup(4096)
    await node.resize(8192)
    expect(node.size).toBe(8192)
    await node.read(4096, new Uint8Array(4096))
    await node.resize(10)
    expect((await failure(node.read(0, new Uint8Array(11)))).code).toBe('range')
    expect((await failure(node.resize(100, { preallocation: 'full' }))).message).toBe('Unsupported preallocation mode: full')
    expect((await failure(node.resize(2 ** 53))).errno).toBe('EFBIG')
  })
})

describe('a driver that is done in the same turn', () => {
  const quick = (fail: { read?: boolean; write?: boolean } = {}, flushed: () => void = () => {}) =>
    defineDriver({
      name: 'quick',
      kind: 'protocol',
      summary: 'returns DONE',
      options: {},
      open: async () => ({
        limits: limits(),
        size: () => 4096,
        read: (_offset, into) => {
          if (fail.read) throw new BlockError('io', 'cannot read')
          into.fill(7)
          return DONE
        },
        writer: {
          write: () => {
            if (fail.write) throw new BlockError('io', 'cannot write')
            return DONE
          },
          flush: async () => flushed(),
        },
        extents: (_offset, bytes) => ({ kind: 'data', bytes }),
        close: async () => {},
      }),
    })

  test('has its requests done in that turn, and counted as any other', async () => {
    await using graph = createGraph({ drivers: [quick()] })
    const node = await graph.openSpec({ driver: 'quick' })
    const bitmap = node.dirtyBitmaps.add({ name: 'b', granularity: 512 })
    const into = new Uint8Array(16)
    const reading = node.read(0, into)
    expect(into).toEqual(new Uint8Array(16).fill(7))
    expect(reading).toBe(DONE)
    expect(node.write(512, into)).toBe(DONE)
    expect(bitmap.dirtyBytes).toBe(512)
    expect(node.status(0, 4096)).toMatchObject({ data: true, bytes: 4096 })
    await node.drained(async () => {})
  })

  test('that throws fails the request, and nothing stays in flight', async () => {
    await using graph = createGraph({ drivers: [quick({ read: true, write: true })] })
    const node = await graph.openSpec({ driver: 'quick' })
    expect((await failure(node.read(0, new Uint8Array(1)))).message).toBe('cannot read')
    expect((await failure(node.write(0, new Uint8Array(1)))).message).toBe('cannot write')
    await node.drained(async () => {})
  })

  test('still has writes flushed that ask for it', async () => {
    let flushes = 0
    const counting = quick({}, () => void flushes++)
    await using graph = createGraph({ drivers: [counting] })
    const node = await graph.openSpec({ driver: 'quick' })
    await node.write(0, new Uint8Array(512), RequestFlag.FUA)
    expect(flushes).toBe(1)
  })
})
