import { describe, expect, it } from 'vitest'
import { ByteRangeLock, createRandom, type RangeGuard, type RangeMode } from '../src/index.ts'
import { listeners, recorder, seeds, settle } from './interleaving.ts'

describe('ByteRangeLock', () => {
  it('keeps overlapping exclusive requests apart and lets neighbours pass', async () => {
    const lock = new ByteRangeLock()
    const a = await lock.acquire(0, 4096, 'exclusive')
    expect(lock.tryAcquire(4095, 1, 'exclusive')).toBeUndefined()
    expect(lock.tryAcquire(4095, 1, 'shared')).toBeUndefined()
    const neighbour = lock.tryAcquire(4096, 4096, 'exclusive')!
    expect(neighbour).toMatchObject({ offset: 4096, length: 4096, mode: 'exclusive', held: true })
    a.release()
    expect(lock.tryAcquire(0, 4096, 'exclusive')).toBeDefined()
    expect(lock.held).toBe(2)
  })

  it('lets shared requests overlap', async () => {
    const lock = new ByteRangeLock()
    const a = await lock.acquire(0, 100, 'shared')
    const b = await lock.acquire(50, 100, 'shared')
    const { log, note } = recorder()
    void note('writer', lock.acquire(90, 20, 'exclusive'))
    await settle()
    a.release()
    await settle()
    expect(log).toEqual([])
    b.release()
    await settle()
    expect(log).toEqual(['writer'])
  })

  it('does not starve a wide request: later narrow ones inside it wait, others pass', async () => {
    const lock = new ByteRangeLock()
    const first = await lock.acquire(0, 10, 'exclusive')
    const { log, note } = recorder()
    void note('wide', lock.acquire(0, 1000, 'exclusive'))
    void note('inside', lock.acquire(500, 10, 'exclusive'))
    expect(lock.tryAcquire(500, 10, 'shared')).toBeUndefined()
    void note('outside', lock.acquire(1000, 10, 'exclusive'))
    await settle()
    expect(log).toEqual(['outside'])
    first.release()
    await settle()
    expect(log).toEqual(['outside', 'wide'])
  })

  it('an aborted wide request lets those behind it in', async () => {
    const lock = new ByteRangeLock()
    await lock.acquire(0, 10, 'exclusive')
    const controller = new AbortController()
    const wide = lock.acquire(0, 1000, 'exclusive', controller.signal)
    const inside = lock.acquire(500, 10, 'shared')
    controller.abort(new Error('cancelled'))
    await expect(wide).rejects.toThrow('cancelled')
    expect((await inside).held).toBe(true)
    expect(lock.waiting).toBe(0)
    expect(listeners(controller.signal)).toBe(0)
  })

  it('an abort after the grant does not lose the range', async () => {
    const lock = new ByteRangeLock()
    const holder = await lock.acquire(0, 10, 'exclusive')
    const controller = new AbortController()
    const wait = lock.acquire(0, 10, 'exclusive', controller.signal)
    holder.release()
    controller.abort()
    const guard = await wait
    expect(guard.held).toBe(true)
    guard.release()
    lock.destroy()
  })

  it('grants an empty range always, even inside a locked one', async () => {
    const lock = new ByteRangeLock()
    const outer = await lock.acquire(0, 100, 'exclusive')
    const empty = await lock.acquire(50, 0, 'exclusive')
    expect(empty.held).toBe(true)
    expect(() => lock.destroy()).toThrow(expect.objectContaining({ code: 'busy' }))
    outer.release()
    empty.release()
    lock.destroy()
  })

  it('works at the far end of the address space', async () => {
    const lock = new ByteRangeLock()
    const end = Number.MAX_SAFE_INTEGER
    using last = await lock.acquire(end - 1, 1, 'exclusive')
    expect(last.held).toBe(true)
    expect(lock.tryAcquire(0, end, 'shared')).toBeUndefined()
    expect(lock.tryAcquire(0, end - 1, 'shared')).toBeDefined()
  })

  it('reports misuse', async () => {
    const lock = new ByteRangeLock({ name: 'requests' })
    const wrong: [number, number][] = [[-1, 1], [0, -1], [0.5, 1], [0, 1.5], [Number.NaN, 1], [Number.MAX_SAFE_INTEGER, 1], [0, Infinity]]
    for (const [offset, length] of wrong) {
      expect(() => lock.tryAcquire(offset, length, 'shared')).toThrow(expect.objectContaining({ code: 'invalid', message: expect.stringContaining('"requests"') }))
      await expect(lock.acquire(offset, length, 'shared')).rejects.toMatchObject({ code: 'invalid' })
    }
    const guard = await lock.acquire(0, 1, 'shared')
    expect(() => new ByteRangeLock().release(guard)).toThrow(expect.objectContaining({ code: 'not-owner' }))
    expect(() => lock.destroy()).toThrow(expect.objectContaining({ code: 'busy' }))
    guard.release()
    expect(() => guard.release()).toThrow(expect.objectContaining({ code: 'not-held' }))
    lock.destroy()
    await expect(lock.acquire(0, 1, 'shared')).rejects.toMatchObject({ code: 'destroyed' })
    await expect(lock.run(0, 1, 'shared', () => 1)).rejects.toMatchObject({ code: 'destroyed' })
  })

  it('run() releases however it ends', async () => {
    const lock = new ByteRangeLock()
    expect(await lock.run(0, 1, 'exclusive', () => lock.held)).toBe(1)
    await expect(lock.run(0, 1, 'exclusive', () => Promise.reject(new Error('x')))).rejects.toThrow('x')
    expect(lock.held).toBe(0)
  })

  it('holds thousands at once and lets them go in any order', async () => {
    const random = createRandom(5)
    const lock = new ByteRangeLock()
    const guards: RangeGuard[] = []
    for (let i = 0; i < 20_000; i++) guards.push(lock.tryAcquire(i * 10, 10, i % 3 === 0 ? 'shared' : 'exclusive')!)
    const all = lock.acquire(0, 200_000, 'exclusive')
    for (const guard of random.shuffle(guards)) guard.release()
    expect((await all).held).toBe(true)
    expect(lock.held).toBe(1)
  })

  it.each(seeds(80))('grants exactly as the quadratic model does (seed %i)', async (seed) => {
    const random = createRandom(seed)
    const lock = new ByteRangeLock()
    const space = random.pick([8, 40, 400])
    type Request = { id: number; offset: number; length: number; mode: RangeMode; held: boolean }
    const model: Request[] = []
    const guards = new Map<number, RangeGuard>()
    const controllers = new Map<number, AbortController>()
    const order: number[] = []
    const conflict = (a: Request, b: Request): boolean =>
      (a.mode === 'exclusive' || b.mode === 'exclusive') &&
      Math.max(a.offset, b.offset) < Math.min(a.offset + a.length, b.offset + b.length)
    for (let id = 0; id < 250; id++) {
      const dice = random.below(10)
      const held = model.filter((r) => r.held)
      const waiting = model.filter((r) => !r.held)
      if (dice < 5 || model.length === 0) {
        const length = random.below(random.chance(0.2) ? space : 6)
        const offset = random.below(space)
        const mode: RangeMode = random.chance(0.5) ? 'shared' : 'exclusive'
        const request: Request = { id, offset, length, mode, held: false }
        const free = model.every((other) => !conflict(request, other))
        if (random.chance(0.3)) {
          const guard = lock.tryAcquire(offset, length, mode)
          expect(guard !== undefined, `seed ${seed}, step ${id}: tryAcquire`).toBe(free)
          if (guard !== undefined) {
            guards.set(id, guard)
            model.push({ ...request, held: true })
          }
        } else {
          const controller = new AbortController()
          controllers.set(id, controller)
          lock.acquire(offset, length, mode, controller.signal).then(
            (guard) => {
              guards.set(id, guard)
              order.push(id)
            },
            () => undefined,
          )
          model.push(request)
        }
      } else if (dice < 8 && held.length > 0) {
        const victim = random.pick(held)
        guards.get(victim.id)!.release()
        guards.delete(victim.id)
        model.splice(model.indexOf(victim), 1)
      } else if (waiting.length > 0) {
        const victim = random.pick(waiting)
        controllers.get(victim.id)!.abort()
        model.splice(model.indexOf(victim), 1)
      }
      const admitted: number[] = []
      for (const [i, request] of model.entries()) {
        if (request.held || model.slice(0, i).some((earlier) => conflict(earlier, request))) continue
        request.held = true
        admitted.push(request.id)
      }
      order.length = 0
      await settle()
      expect(order, `seed ${seed}, step ${id}: order`).toEqual(admitted)
      expect(lock.held, `seed ${seed}, step ${id}`).toBe(model.filter((r) => r.held).length)
      expect(lock.waiting, `seed ${seed}, step ${id}`).toBe(model.filter((r) => !r.held).length)
    }
  })
})
