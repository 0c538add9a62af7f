import { describe, expect, it } from 'vitest'
import { CoSemaphore, createRandom, type SemaphoreGuard } from '../src/index.ts'
import { listeners, recorder, seeds, settle } from './interleaving.ts'

describe('CoSemaphore', () => {
  it('admits up to its capacity', async () => {
    const semaphore = new CoSemaphore(2)
    const a = await semaphore.acquire()
    const b = semaphore.tryAcquire()!
    expect(semaphore.available).toBe(0)
    expect(semaphore.tryAcquire()).toBeUndefined()
    const { log, note } = recorder()
    void note('c', semaphore.acquire())
    await settle()
    expect(log).toEqual([])
    b.release()
    await settle()
    expect(log).toEqual(['c'])
    a.release()
    expect(semaphore.available).toBe(1)
  })

  it('does not starve a large request: small ones wait behind it even if they fit', async () => {
    const semaphore = new CoSemaphore(10)
    const six = await semaphore.acquire(6)
    const { log, note } = recorder()
    void note('large', semaphore.acquire(8))
    void note('small', semaphore.acquire(1))
    expect(semaphore.tryAcquire(1)).toBeUndefined()
    await settle()
    expect(log).toEqual([])
    six.release()
    await settle()
    expect(log).toEqual(['large', 'small'])
    expect(semaphore.available).toBe(1)
  })

  it('an aborted large request lets the small ones behind it in', async () => {
    const semaphore = new CoSemaphore(10)
    await semaphore.acquire(6)
    const controller = new AbortController()
    const large = semaphore.acquire(8, controller.signal)
    const small = semaphore.acquire(4)
    controller.abort(new Error('too long'))
    await expect(large).rejects.toThrow('too long')
    expect((await small).weight).toBe(4)
    expect(listeners(controller.signal)).toBe(0)
  })

  it('run() gives the units back however it ends', async () => {
    const semaphore = new CoSemaphore(3)
    expect(await semaphore.run(() => semaphore.available, 2)).toBe(1)
    await expect(semaphore.run(() => Promise.reject(new Error('x')), 3)).rejects.toThrow('x')
    expect(semaphore.available).toBe(3)
  })

  it('reports misuse', async () => {
    for (const capacity of [0, -1, 1.5, Number.NaN, Infinity]) {
      expect(() => new CoSemaphore(capacity)).toThrow(expect.objectContaining({ code: 'invalid' }))
    }
    const semaphore = new CoSemaphore(4, { name: 'budget' })
    for (const weight of [0, -1, 0.5, 5, Number.NaN]) {
      expect(() => semaphore.tryAcquire(weight)).toThrow(expect.objectContaining({ code: 'invalid', message: expect.stringContaining('"budget"') }))
      await expect(semaphore.acquire(weight)).rejects.toMatchObject({ code: 'invalid' })
    }
    const guard = await semaphore.acquire(2)
    expect(() => semaphore.destroy()).toThrow(expect.objectContaining({ code: 'busy' }))
    expect(() => new CoSemaphore(4).release(guard)).toThrow(expect.objectContaining({ code: 'not-owner' }))
    guard.release()
    expect(() => guard.release()).toThrow(expect.objectContaining({ code: 'not-held' }))
    expect(semaphore.available).toBe(4)
    semaphore.destroy()
    await expect(semaphore.acquire()).rejects.toMatchObject({ code: 'destroyed' })
  })

  it.each(seeds(60))('grants exactly as the model of a FIFO queue does (seed %i)', async (seed) => {
    const random = createRandom(seed)
    const capacity = random.between(1, 12)
    const semaphore = new CoSemaphore(capacity)
    const queue: { id: number; weight: number }[] = []
    const held = new Map<number, number>()
    const guards = new Map<number, SemaphoreGuard>()
    const controllers = new Map<number, AbortController>()
    const free = (): number => capacity - [...held.values()].reduce((sum, weight) => sum + weight, 0)
    for (let id = 0; id < 150; id++) {
      const dice = random.below(5)
      if (dice < 2) {
        const weight = random.between(1, capacity)
        const controller = new AbortController()
        controllers.set(id, controller)
        semaphore.acquire(weight, controller.signal).then((guard) => guards.set(id, guard), () => undefined)
        queue.push({ id, weight })
      } else if (dice < 4 && held.size > 0) {
        const victim = random.pick([...held.keys()])
        guards.get(victim)!.release()
        guards.delete(victim)
        held.delete(victim)
      } else if (queue.length > 0) {
        const victim = random.below(queue.length)
        controllers.get(queue[victim]!.id)!.abort()
        queue.splice(victim, 1)
      }
      while (queue.length > 0 && queue[0]!.weight <= free()) {
        const { id: granted, weight } = queue.shift()!
        held.set(granted, weight)
      }
      await settle()
      expect([...guards.keys()].sort((a, b) => a - b), `seed ${seed}, step ${id}`).toEqual([...held.keys()].sort((a, b) => a - b))
      expect(semaphore.available).toBe(free())
      expect(semaphore.waiting).toBe(queue.length)
    }
  })
})
