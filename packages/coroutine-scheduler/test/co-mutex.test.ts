import { describe, expect, it } from 'vitest'
import { CoMutex, type MutexGuard } from '../src/index.ts'
import { listeners, recorder, settle } from './interleaving.ts'

describe('CoMutex', () => {
  it('lets one in at a time, in order of arrival', async () => {
    const mutex = new CoMutex()
    const { log, note } = recorder()
    const first = await mutex.acquire()
    const waits = ['a', 'b', 'c'].map((name) => note(name, mutex.acquire()))
    await settle()
    expect(log).toEqual([])
    expect(mutex.waiting).toBe(3)

    let guard: MutexGuard = first
    for (const [i, wait] of waits.entries()) {
      guard.release()
      guard = await wait
      await settle()
      expect(log).toEqual(['a', 'b', 'c'].slice(0, i + 1))
      expect(guard.held).toBe(true)
    }
    guard.release()
    expect(mutex.locked).toBe(false)
  })

  it('cannot be overtaken between a release and the continuation of the waiter', async () => {
    const mutex = new CoMutex()
    const guard = mutex.tryAcquire()!
    const waiter = mutex.acquire()
    guard.release()
    expect(mutex.tryAcquire()).toBeUndefined()
    const late = mutex.acquire()
    const granted = await waiter
    expect(granted.held).toBe(true)
    granted.release()
    expect((await late).held).toBe(true)
  })

  it('is released at the end of a using block, also when it throws', async () => {
    const mutex = new CoMutex()
    await expect(
      (async () => {
        using guard = await mutex.acquire()
        expect(guard.held).toBe(true)
        throw new Error('inside')
      })(),
    ).rejects.toThrow('inside')
    expect(mutex.locked).toBe(false)
  })

  it('run() passes the result on and releases on success, throw and rejection', async () => {
    const mutex = new CoMutex()
    expect(await mutex.run(() => 7)).toBe(7)
    const failure = new Error('failed')
    await expect(mutex.run(() => Promise.reject(failure))).rejects.toBe(failure)
    await expect(
      mutex.run(() => {
        throw failure
      }),
    ).rejects.toBe(failure)
    expect(mutex.locked).toBe(false)
  })

  it('run() is mutually exclusive', async () => {
    const mutex = new CoMutex()
    let inside = 0
    let most = 0
    await Promise.all(
      Array.from({ length: 20 }, () =>
        mutex.run(async () => {
          most = Math.max(most, ++inside)
          await settle()
          inside--
        }),
      ),
    )
    expect(most).toBe(1)
  })

  it('rejects with the reason of the signal: aborted before, while waiting; and run() does not start', async () => {
    const mutex = new CoMutex()
    const reason = new Error('stop')
    await expect(mutex.acquire(AbortSignal.abort(reason))).rejects.toBe(reason)
    await expect(mutex.run(() => expect.unreachable(), AbortSignal.abort(reason))).rejects.toBe(reason)
    expect(mutex.locked).toBe(false)

    const guard = await mutex.acquire()
    const controller = new AbortController()
    const aborted = mutex.acquire(controller.signal)
    const behind = mutex.acquire()
    controller.abort(reason)
    await expect(aborted).rejects.toBe(reason)
    expect(mutex.waiting).toBe(1)
    guard.release()
    expect((await behind).held).toBe(true)
  })

  it('passes a standard AbortError through', async () => {
    const mutex = new CoMutex()
    await expect(mutex.acquire(AbortSignal.abort())).rejects.toMatchObject({ name: 'AbortError' })
  })

  it('an abort after the grant changes nothing, even before the waiter saw it', async () => {
    const mutex = new CoMutex()
    const guard = await mutex.acquire()
    const controller = new AbortController()
    const wait = mutex.acquire(controller.signal)
    guard.release()
    controller.abort(new Error('late'))
    const granted = await wait
    expect(granted.held).toBe(true)
    granted.release()
    expect(mutex.locked).toBe(false)
  })

  it('an abort just before the release passes the lock to the next', async () => {
    const mutex = new CoMutex()
    const guard = await mutex.acquire()
    const controller = new AbortController()
    const aborted = mutex.acquire(controller.signal)
    const next = mutex.acquire()
    controller.abort(new Error('early'))
    guard.release()
    await expect(aborted).rejects.toThrow('early')
    expect((await next).held).toBe(true)
  })

  it('keeps no listener on the signal after grant, abort, or an uncontended acquire', async () => {
    const mutex = new CoMutex()
    const controller = new AbortController()
    const guard = await mutex.acquire(controller.signal)
    expect(listeners(controller.signal)).toBe(0)
    const wait = mutex.acquire(controller.signal)
    const other = mutex.acquire(controller.signal)
    expect(listeners(controller.signal)).toBe(2)
    guard.release()
    await wait
    expect(listeners(controller.signal)).toBe(1)
    controller.abort()
    await expect(other).rejects.toMatchObject({ name: 'AbortError' })
    expect(listeners(controller.signal)).toBe(0)
  })

  it('reports a double release and changes nothing', async () => {
    const mutex = new CoMutex({ name: 'l2' })
    const guard = await mutex.acquire()
    guard.release()
    expect(() => guard.release()).toThrow(expect.objectContaining({ code: 'not-held', message: expect.stringContaining('"l2"') }))
    const other = await mutex.acquire()
    expect(() => guard.release()).toThrow(expect.objectContaining({ code: 'not-held' }))
    expect(other.held).toBe(true)
  })

  it('reports a release by the guard of another mutex', async () => {
    const mutex = new CoMutex()
    const guard = await mutex.acquire()
    const stranger = await new CoMutex().acquire()
    expect(() => mutex.release(stranger)).toThrow(expect.objectContaining({ code: 'not-owner' }))
    await expect(mutex.reacquire(stranger)).rejects.toMatchObject({ code: 'not-owner' })
    expect(guard.held).toBe(true)
    expect(stranger.held).toBe(true)
  })

  it('disposing is harmless after release()', async () => {
    const mutex = new CoMutex()
    {
      using guard = await mutex.acquire()
      guard.release()
    }
    const guard = await mutex.acquire()
    guard[Symbol.dispose]()
    guard[Symbol.dispose]()
    expect(mutex.locked).toBe(false)
  })

  it('reacquire() lets others in between and reports misuse', async () => {
    const mutex = new CoMutex()
    const guard = await mutex.acquire()
    await expect(guard.reacquire()).rejects.toMatchObject({ code: 'already-held' })
    const other = mutex.acquire()
    guard.release()
    const again = guard.reacquire()
    await expect(guard.reacquire()).rejects.toMatchObject({ code: 'already-held' })
    const between = await other
    expect(guard.held).toBe(false)
    between.release()
    await again
    expect(guard.held).toBe(true)
  })

  it('a guard whose reacquire() was aborted can be taken again', async () => {
    const mutex = new CoMutex()
    const guard = await mutex.acquire()
    guard.release()
    const blocker = await mutex.acquire()
    const controller = new AbortController()
    const again = guard.reacquire(controller.signal)
    controller.abort(new Error('no'))
    await expect(again).rejects.toThrow('no')
    blocker.release()
    await guard.reacquire()
    expect(guard.held).toBe(true)
  })

  it('destroy() is refused while held or waited for, and final afterwards', async () => {
    const mutex = new CoMutex({ name: 'm' })
    const guard = await mutex.acquire()
    expect(() => mutex.destroy()).toThrow(expect.objectContaining({ code: 'busy' }))
    const waiting = mutex.acquire()
    expect(() => mutex.destroy()).toThrow(expect.objectContaining({ code: 'busy' }))
    guard.release()
    ;(await waiting).release()
    mutex.destroy()
    mutex.destroy()
    expect(() => mutex.tryAcquire()).toThrow(expect.objectContaining({ code: 'destroyed' }))
    await expect(mutex.acquire()).rejects.toMatchObject({ code: 'destroyed' })
    await expect(mutex.run(() => 1)).rejects.toMatchObject({ code: 'destroyed' })
  })
})
