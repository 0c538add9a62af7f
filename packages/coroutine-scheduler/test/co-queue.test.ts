import { describe, expect, it } from 'vitest'
import { CoMutex, CoQueue } from '../src/index.ts'
import { listeners, recorder, settle } from './interleaving.ts'

describe('CoQueue', () => {
  it('wakes one at a time in order of arrival', async () => {
    const queue = new CoQueue()
    const { log, note } = recorder()
    for (const name of ['a', 'b', 'c']) void note(name, queue.wait())
    expect(queue.waiting).toBe(3)
    expect(queue.wakeOne()).toBe(true)
    await settle()
    expect(log).toEqual(['a'])
    expect(queue.wakeOne()).toBe(true)
    expect(queue.wakeOne()).toBe(true)
    expect(queue.wakeOne()).toBe(false)
    await settle()
    expect(log).toEqual(['a', 'b', 'c'])
  })

  it('wakes all who wait now, and remembers no wake-up', async () => {
    const queue = new CoQueue()
    expect(queue.wakeAll()).toBe(0)
    const { log, note } = recorder()
    for (const name of ['a', 'b']) void note(name, queue.wait())
    expect(queue.wakeAll()).toBe(2)
    void note('late', queue.wait())
    await settle()
    expect(log).toEqual(['a', 'b'])
    expect(queue.waiting).toBe(1)
  })

  it('an aborted waiter does not use up a wake-up', async () => {
    const queue = new CoQueue()
    const controller = new AbortController()
    const aborted = queue.wait(controller.signal)
    const { log, note } = recorder()
    void note('b', queue.wait())
    controller.abort(new Error('gone'))
    await expect(aborted).rejects.toThrow('gone')
    expect(listeners(controller.signal)).toBe(0)
    queue.wakeOne()
    await settle()
    expect(log).toEqual(['b'])
    await expect(queue.wait(controller.signal)).rejects.toThrow('gone')
  })

  it('a woken waiter stays woken when the signal aborts later', async () => {
    const queue = new CoQueue()
    const controller = new AbortController()
    const wait = queue.wait(controller.signal)
    queue.wakeOne()
    controller.abort()
    await wait
    expect(listeners(controller.signal)).toBe(0)
  })

  it('waitReleasing() gives the mutex away while it waits and has it afterwards', async () => {
    const mutex = new CoMutex()
    const queue = new CoQueue()
    const items: number[] = []
    const consumer = (async () => {
      using guard = await mutex.acquire()
      while (items.length === 0) await queue.waitReleasing(guard)
      expect(guard.held).toBe(true)
      return items.shift()
    })()
    await settle()
    expect(mutex.locked).toBe(false)
    await mutex.run(() => {
      items.push(5)
      queue.wakeOne()
    })
    expect(await consumer).toBe(5)
    expect(mutex.locked).toBe(false)
  })

  it('waitReleasing() misses no wake-up by the very next holder', async () => {
    const mutex = new CoMutex()
    const queue = new CoQueue()
    const guard = await mutex.acquire()
    const waker = mutex.run(() => queue.wakeOne())
    const wait = queue.waitReleasing(guard)
    expect(await waker).toBe(true)
    await wait
    expect(guard.held).toBe(true)
  })

  it('waitReleasing() holds the mutex again when it is aborted', async () => {
    const mutex = new CoMutex()
    const queue = new CoQueue()
    const guard = await mutex.acquire()
    const controller = new AbortController()
    let ended = false
    const wait = queue.waitReleasing(guard, controller.signal).finally(() => {
      ended = true
    })
    const other = await mutex.acquire()
    controller.abort(new Error('enough'))
    wait.catch(() => undefined)
    await settle()
    expect(ended).toBe(false)
    other.release()
    await expect(wait).rejects.toThrow('enough')
    expect(guard.held).toBe(true)
    expect(queue.waiting).toBe(0)

    await expect(queue.waitReleasing(guard, controller.signal)).rejects.toThrow('enough')
    expect(guard.held).toBe(true)
  })

  it('reports misuse', async () => {
    const queue = new CoQueue({ name: 'full' })
    const guard = await new CoMutex().acquire()
    guard.release()
    await expect(queue.waitReleasing(guard)).rejects.toMatchObject({ code: 'not-held', message: expect.stringContaining('"full"') })
    const wait = queue.wait()
    expect(() => queue.destroy()).toThrow(expect.objectContaining({ code: 'busy' }))
    queue.wakeOne()
    await wait
    queue.destroy()
    await expect(queue.wait()).rejects.toMatchObject({ code: 'destroyed' })
  })
})
