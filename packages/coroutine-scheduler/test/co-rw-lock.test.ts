import { describe, expect, it } from 'vitest'
import { CoRwLock, createRandom, type RwGuard, type RwMode } from '../src/index.ts'
import { listeners, recorder, seeds, settle } from './interleaving.ts'

describe('CoRwLock', () => {
  it('admits readers together and a writer alone', async () => {
    const lock = new CoRwLock()
    const a = await lock.acquireRead()
    const b = lock.tryAcquireRead()!
    expect(lock.readers).toBe(2)
    expect(lock.tryAcquireWrite()).toBeUndefined()
    a.release()
    b.release()
    const w = lock.tryAcquireWrite()!
    expect(lock.writing).toBe(true)
    expect(lock.tryAcquireRead()).toBeUndefined()
    expect(lock.tryAcquireWrite()).toBeUndefined()
    w.release()
  })

  it('does not starve a writer: readers that come later wait behind it', async () => {
    const lock = new CoRwLock()
    const { log, note } = recorder()
    const reader = await lock.acquireRead()
    const writer = note('writer', lock.acquireWrite())
    const late = note('reader', lock.acquireRead())
    expect(lock.tryAcquireRead()).toBeUndefined()
    await settle()
    expect(log).toEqual([])
    reader.release()
    const guard = await writer
    await settle()
    expect(log).toEqual(['writer'])
    guard.release()
    await late
    expect(log).toEqual(['writer', 'reader'])
  })

  it('admits all readers up to the next writer at once', async () => {
    const lock = new CoRwLock()
    const { log, note } = recorder()
    const writer = await lock.acquireWrite()
    const batch = ['r1', 'r2', 'r3'].map((name) => note(name, lock.acquireRead()))
    void note('w', lock.acquireWrite())
    void note('r4', lock.acquireRead())
    writer.release()
    expect(lock.readers).toBe(3)
    await settle()
    expect(log).toEqual(['r1', 'r2', 'r3'])
    for (const reader of await Promise.all(batch)) reader.release()
    await settle()
    expect(log).toEqual(['r1', 'r2', 'r3', 'w'])
  })

  it('an aborted writer lets the readers behind it in', async () => {
    const lock = new CoRwLock()
    await lock.acquireRead()
    const controller = new AbortController()
    const writer = lock.acquireWrite(controller.signal)
    const reader = lock.acquireRead()
    controller.abort(new Error('no write'))
    await expect(writer).rejects.toThrow('no write')
    expect((await reader).held).toBe(true)
    expect(listeners(controller.signal)).toBe(0)
  })

  it('runRead and runWrite release however they end', async () => {
    const lock = new CoRwLock()
    expect(await lock.runRead((guard) => guard.mode)).toBe('read')
    await expect(lock.runWrite(() => Promise.reject(new Error('x')))).rejects.toThrow('x')
    lock.destroy()
  })

  describe('upgrade', () => {
    it('is at once and intact for the only reader', async () => {
      const lock = new CoRwLock()
      using guard = await lock.acquireRead()
      expect(await guard.upgrade()).toBe(true)
      expect(guard.mode).toBe('write')
      expect(lock.writing).toBe(true)
    })

    it('waits for other readers, and is intact when nobody wrote', async () => {
      const lock = new CoRwLock()
      const guard = await lock.acquireRead()
      const other = await lock.acquireRead()
      const upgraded = guard.upgrade()
      await settle()
      expect(guard.held).toBe(false)
      other.release()
      expect(await upgraded).toBe(true)
      expect(guard.held).toBe(true)
    })

    it('two at once do not deadlock, and the second knows that it was overtaken', async () => {
      const lock = new CoRwLock()
      const a = await lock.acquireRead()
      const b = await lock.acquireRead()
      const [first, second] = [a.upgrade(), b.upgrade()]
      expect(await first).toBe(true)
      expect(b.held).toBe(false)
      a.release()
      expect(await second).toBe(false)
    })

    it('goes behind a waiting writer', async () => {
      const lock = new CoRwLock()
      const guard = await lock.acquireRead()
      const { log, note } = recorder()
      const writer = note('writer', lock.acquireWrite())
      const upgraded = note('upgraded', guard.upgrade())
      ;(await writer).release()
      expect(await upgraded).toBe(false)
      expect(log).toEqual(['writer', 'upgraded'])
    })

    it('holds nothing after an abort, and everything when the signal had aborted before', async () => {
      const lock = new CoRwLock()
      const guard = await lock.acquireRead()
      await expect(guard.upgrade(AbortSignal.abort(new Error('before')))).rejects.toThrow('before')
      expect(guard.held).toBe(true)
      expect(guard.mode).toBe('read')
      const other = await lock.acquireRead()
      const controller = new AbortController()
      const upgraded = guard.upgrade(controller.signal)
      controller.abort(new Error('while waiting'))
      await expect(upgraded).rejects.toThrow('while waiting')
      expect(guard.held).toBe(false)
      expect(lock.readers).toBe(1)
      other.release()
      lock.destroy()
    })
  })

  it('downgrade keeps the lock and admits the readers behind, not the writer', async () => {
    const lock = new CoRwLock()
    const guard = await lock.acquireWrite()
    const { log, note } = recorder()
    void note('r1', lock.acquireRead())
    void note('r2', lock.acquireRead())
    void note('w', lock.acquireWrite())
    guard.downgrade()
    expect(guard.held).toBe(true)
    expect(guard.mode).toBe('read')
    await settle()
    expect(log).toEqual(['r1', 'r2'])
  })

  it('reports misuse', async () => {
    const lock = new CoRwLock({ name: 'graph' })
    const reader = await lock.acquireRead()
    expect(() => reader.downgrade()).toThrow(expect.objectContaining({ code: 'wrong-mode', message: expect.stringContaining('"graph"') }))
    expect(() => new CoRwLock().release(reader)).toThrow(expect.objectContaining({ code: 'not-owner' }))
    expect(() => lock.destroy()).toThrow(expect.objectContaining({ code: 'busy' }))
    reader.release()
    expect(() => reader.release()).toThrow(expect.objectContaining({ code: 'not-held' }))
    expect(() => reader.downgrade()).toThrow(expect.objectContaining({ code: 'not-held' }))
    await expect(reader.upgrade()).rejects.toMatchObject({ code: 'not-held' })
    const writer = await lock.acquireWrite()
    await expect(writer.upgrade()).rejects.toMatchObject({ code: 'wrong-mode' })
    expect(() => lock.destroy()).toThrow(expect.objectContaining({ code: 'busy' }))
    writer.release()
    lock.destroy()
    await expect(lock.acquireRead()).rejects.toMatchObject({ code: 'destroyed' })
    expect(() => lock.tryAcquireWrite()).toThrow(expect.objectContaining({ code: 'destroyed' }))
  })

  it.each(seeds(60))('grants exactly as the model of a FIFO queue does (seed %i)', async (seed) => {
    const random = createRandom(seed)
    const lock = new CoRwLock()
    const model: { id: number; mode: RwMode; held: boolean }[] = []
    const guards = new Map<number, RwGuard>()
    const controllers = new Map<number, AbortController>()
    const admit = (): void => {
      // Held if all earlier live requests are held and compatible.
      for (const [i, request] of model.entries()) {
        const earlier = model.slice(0, i)
        request.held ||= earlier.every((e) => e.held && e.mode === 'read' && request.mode === 'read')
      }
    }
    const drop = (id: number): void => {
      model.splice(model.findIndex((r) => r.id === id), 1)
    }
    for (let id = 0; id < 150; id++) {
      const dice = random.below(10)
      const heldIds = model.filter((r) => r.held).map((r) => r.id)
      const waitingIds = model.filter((r) => !r.held).map((r) => r.id)
      if (dice < 5) {
        const mode: RwMode = random.chance(0.6) ? 'read' : 'write'
        const controller = new AbortController()
        const promise = mode === 'read' ? lock.acquireRead(controller.signal) : lock.acquireWrite(controller.signal)
        promise.then((guard) => guards.set(id, guard), () => undefined)
        controllers.set(id, controller)
        model.push({ id, mode, held: false })
      } else if (dice < 7 && heldIds.length > 0) {
        const victim = random.pick(heldIds)
        guards.get(victim)!.release()
        guards.delete(victim)
        drop(victim)
      } else if (dice < 8 && waitingIds.length > 0) {
        const victim = random.pick(waitingIds)
        controllers.get(victim)!.abort()
        drop(victim)
      } else if (heldIds.length === 1 && guards.get(heldIds[0]!)!.mode === 'write') {
        guards.get(heldIds[0]!)!.downgrade()
        model.find((r) => r.id === heldIds[0])!.mode = 'read'
      } else if (heldIds.length > 0 && guards.get(heldIds[0]!)!.mode === 'read') {
        const victim = random.pick(heldIds)
        const guard = guards.get(victim)!
        guards.delete(victim)
        drop(victim)
        model.push({ id: victim, mode: 'write', held: false })
        controllers.set(victim, new AbortController())
        guard.upgrade(controllers.get(victim)!.signal).then(() => guards.set(victim, guard), () => undefined)
      }
      admit()
      await settle()
      const held = model.filter((r) => r.held)
      expect([...guards.keys()].sort((a, b) => a - b), `seed ${seed}, step ${id}`).toEqual(held.map((r) => r.id).sort((a, b) => a - b))
      expect(lock.readers).toBe(held.filter((r) => r.mode === 'read').length)
      expect(lock.waiting).toBe(model.length - held.length)
    }
  })
})
