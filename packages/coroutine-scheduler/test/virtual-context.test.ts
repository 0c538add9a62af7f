import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { ByteRangeLock, CoMutex, CoQueue, CoRwLock, CoSemaphore, createVirtualContext, isSchedulerMisuse } from '../src/index.ts'
import { listeners, settle } from './interleaving.ts'

const YEAR = 365 * 24 * 3600 * 1000

describe('virtual clock', () => {
  it('moves only by sleeping, and costs no real time', async () => {
    const context = createVirtualContext({ seed: 1, startMs: 500 })
    expect(context.now()).toBe(500)
    await context.run(async () => {
      for (let i = 0; i < 10; i++) await context.yield()
      expect(context.now()).toBe(500)
      await context.sleep(YEAR)
      expect(context.now()).toBe(500 + YEAR)
      await context.sleep(0.25)
      expect(context.now()).toBe(500.25 + YEAR)
      await context.sleep(0)
      expect(context.now()).toBe(500.25 + YEAR)
    })
  })

  it('does not move for sleeps in the background alone; they wake as it passes', async () => {
    const context = createVirtualContext({ seed: 3 })
    const log: number[] = []
    const clean = async (): Promise<never> => {
      for (;;) {
        await context.sleep(600, undefined, { background: true })
        log.push(context.now())
      }
    }
    await context.run(async () => {
      clean().catch(() => {})
      await context.sleep(1500)
      expect(log).toEqual([600, 1200])
    })
    expect(context.now()).toBe(1500)
    await expect(context.run(() => new Promise(() => {}))).rejects.toMatchObject({ code: 'deadlock' })
    expect(context.now()).toBe(1500)
  })

  it('does not move while anything can run', async () => {
    const context = createVirtualContext({ seed: 2 })
    await context.run(async () => {
      let woke = false
      const sleeper = context.spawn('sleeper', async () => {
        await context.sleep(1)
        woke = true
      })
      for (let i = 0; i < 100; i++) await context.yield()
      expect(woke).toBe(false)
      await sleeper
      expect(context.now()).toBe(1)
    })
  })

  it('fires timers at their deadline, in order of deadlines', async () => {
    const context = createVirtualContext({ seed: 3 })
    await context.run(async () => {
      const fired: [string, number][] = []
      const timer = (name: string) => context.timer(() => fired.push([name, context.now()]), name)
      timer('b').arm(20)
      timer('a').arm(10)
      timer('past').arm(-5)
      const cancelled = timer('cancelled')
      cancelled.arm(15)
      cancelled.cancel()
      const moved = timer('moved')
      moved.arm(5)
      moved.arm(30)
      expect(moved.deadline).toBe(30)
      await context.sleep(100)
      expect(fired).toEqual([['past', 0], ['a', 10], ['b', 20], ['moved', 30]])
    })
  })

  it('a timer that is due can still be cancelled by one that fires at the same instant', async () => {
    const outcomes = new Set<string>()
    for (let seed = 0; seed < 30; seed++) {
      const context = createVirtualContext({ seed })
      await context.run(async () => {
        const fired: string[] = []
        const a = context.timer(() => {
          fired.push('a')
          b.cancel()
        })
        const b = context.timer(() => {
          fired.push('b')
          a.cancel()
        })
        a.arm(10)
        b.arm(10)
        await context.sleep(20)
        outcomes.add(fired.join())
      })
    }
    expect([...outcomes].sort()).toEqual(['a', 'b'])
  })

  it('ends sleeps by signal', async () => {
    const context = createVirtualContext({ seed: 4 })
    const controller = new AbortController()
    const reason = new Error('enough')
    await context.run(async () => {
      const sleep = context.sleep(1000, controller.signal)
      context.timer(() => controller.abort(reason)).arm(7)
      await expect(sleep).rejects.toBe(reason)
      expect(context.now()).toBe(7)
      expect(listeners(controller.signal)).toBe(0)
    })
  })
})

describe('seeded order', () => {
  const order = async (seed: number, kind: 'yield' | 'spawn' | 'schedule' | 'timer' | 'grant' | 'wakeAll'): Promise<string> => {
    const context = createVirtualContext({ seed })
    const log: string[] = []
    const names = ['a', 'b', 'c', 'd']
    await context.run(async () => {
      if (kind === 'schedule') for (const name of names) context.schedule(() => log.push(name))
      if (kind === 'timer') for (const name of names) context.timer(() => log.push(name)).arm(5)
      const rwlock = new CoRwLock({ context })
      const queue = new CoQueue({ context })
      const writer = rwlock.tryAcquireWrite()!
      for (const name of names) {
        if (kind === 'spawn') void context.spawn(name, () => log.push(name))
        if (kind === 'yield') void context.yield().then(() => log.push(name))
        if (kind === 'grant') void rwlock.acquireRead().then(() => log.push(name))
        if (kind === 'wakeAll') void queue.wait().then(() => log.push(name))
      }
      writer.release()
      queue.wakeAll()
      await context.sleep(10)
    })
    return log.join('')
  }

  it.each(['yield', 'spawn', 'schedule', 'timer', 'grant', 'wakeAll'] as const)('%s: every order comes up, each seed has one', async (kind) => {
    const orders = new Set<string>()
    for (let seed = 0; seed < 200; seed++) orders.add(await order(seed, kind))
    expect(orders.size).toBe(24)
    expect(await order(17, kind)).toBe(await order(17, kind))
  })

  it('lets a mutex pass in order of arrival whatever the seed', async () => {
    for (let seed = 0; seed < 20; seed++) {
      const context = createVirtualContext({ seed })
      await context.run(async () => {
        const mutex = new CoMutex({ context })
        const log: number[] = []
        const first = mutex.tryAcquire()!
        const waits = [0, 1, 2, 3].map(async (i) => {
          using guard = await mutex.acquire()
          log.push(i)
          await context.yield()
          expect(guard.held).toBe(true)
        })
        first.release()
        await Promise.all(waits)
        expect(log).toEqual([0, 1, 2, 3])
      })
    }
  })

  it('finds a lost update that a mutex prevents', async () => {
    const total = async (seed: number, mutex: CoMutex | undefined): Promise<number> => {
      const context = createVirtualContext({ seed })
      let balance = 0
      const deposit = async (): Promise<void> => {
        const guard = await mutex?.acquire()
        const seen = balance
        await context.yield()
        balance = seen + 1
        guard?.release()
      }
      await context.run(() => Promise.all([context.spawn('a', deposit), context.spawn('b', deposit)]))
      return balance
    }
    const unguarded = new Set<number>()
    for (let seed = 0; seed < 30; seed++) {
      unguarded.add(await total(seed, undefined))
      expect(await total(seed, new CoMutex())).toBe(2)
    }
    expect([...unguarded].sort()).toEqual([1, 2])
  })
})

describe('run', () => {
  it('settles like its function and keeps what is left over', async () => {
    const context = createVirtualContext({ seed: 1 })
    expect(await context.run(() => 4)).toBe(4)
    const failure = new Error('inside')
    await expect(context.run(() => Promise.reject(failure))).rejects.toBe(failure)
    let fired = false
    await context.run(() => context.timer(() => (fired = true)).armIn(5))
    expect(fired).toBe(false)
    await context.run(() => context.sleep(10))
    expect(fired).toBe(true)
  })

  it('rejects with what a bottom half or a timer throws, and can go on', async () => {
    const context = createVirtualContext({ seed: 1 })
    const failure = new Error('bottom half')
    await expect(
      context.run(async () => {
        context.schedule(() => {
          throw failure
        })
        await context.sleep(5)
      }),
    ).rejects.toBe(failure)
    expect(await context.run(() => 'again')).toBe('again')
  })

  it('reports being called inside itself', async () => {
    const context = createVirtualContext({ seed: 1 })
    await expect(context.run(() => context.run(() => 1))).rejects.toMatchObject({ code: 'running' })
  })

  it('does nothing outside of run', async () => {
    const context = createVirtualContext({ seed: 1 })
    let ran = false
    context.schedule(() => (ran = true))
    await settle()
    expect(ran).toBe(false)
    await context.run(() => context.yield().then(() => context.sleep(1)))
    expect(ran).toBe(true)
  })

  it('stops a program that never ends', async () => {
    const context = createVirtualContext({ seed: 1, stepLimit: 500 })
    const spin = context.run(async () => {
      for (;;) await context.yield()
    })
    await expect(spin).rejects.toMatchObject({ code: 'step-limit' })
    expect(context.steps).toBe(500)
  })

  it('drains long chains of plain promises before the clock moves', async () => {
    const context = createVirtualContext({ seed: 1 })
    await context.run(async () => {
      const chain = async (n: number): Promise<number> => (n === 0 ? context.now() : await chain(n - 1))
      void context.sleep(1)
      expect(await chain(5000)).toBe(0)
    })
  })
})

describe('deadlock', () => {
  it('is reported with the names of those who wait and what for', async () => {
    const context = createVirtualContext({ seed: 6 })
    const l2 = new CoMutex({ name: 'l2', context })
    const refcount = new CoMutex({ name: 'refcount', context })
    const run = context.run(async () => {
      const both = (first: CoMutex, second: CoMutex) => async () => {
        using outer = await first.acquire()
        await context.sleep(1)
        using inner = await second.acquire()
        return outer.held && inner.held
      }
      await Promise.all([context.spawn('copy', both(l2, refcount)), context.spawn('commit', both(refcount, l2))])
    })
    const error: unknown = await run.catch((reason: unknown) => reason)
    if (!isSchedulerMisuse(error, 'deadlock')) throw error
    expect([...error.waiting].sort()).toEqual([
      'main has not ended, and waits for nothing this context knows',
      'task "commit" waits for mutex "l2"',
      'task "copy" waits for mutex "refcount"',
    ])
    expect(error.message).toContain('seed 6')
    expect(error.message).toContain('task "copy" waits for mutex "refcount"')
  })

  it('names every kind of lock', async () => {
    const context = createVirtualContext({ seed: 6 })
    const run = context.run(async () => {
      const rwlock = new CoRwLock({ name: 'rw', context })
      const semaphore = new CoSemaphore(1, { name: 'sem', context })
      const ranges = new ByteRangeLock({ name: 'ranges', context })
      rwlock.tryAcquireWrite()
      semaphore.tryAcquire()
      ranges.tryAcquire(0, 1, 'exclusive')
      await Promise.all([
        rwlock.acquireRead(),
        semaphore.acquire(),
        ranges.acquire(0, 1, 'shared'),
        new CoQueue({ name: 'queue', context }).wait(),
        new CoQueue({ context }).wait(),
      ])
    })
    await expect(run).rejects.toMatchObject({
      code: 'deadlock',
      waiting: [
        'main waits for rwlock "rw"',
        'main waits for semaphore "sem"',
        'main waits for range lock "ranges"',
        'main waits for queue "queue"',
        'main waits for queue (unnamed)',
      ],
    })
  })

  it('is not declared while a timer or an aborting signal can still help', async () => {
    const context = createVirtualContext({ seed: 6 })
    await context.run(async () => {
      const mutex = new CoMutex({ context })
      mutex.tryAcquire()
      const controller = new AbortController()
      context.timer(() => controller.abort(new Error('timeout'))).armIn(1000)
      await expect(mutex.acquire(controller.signal)).rejects.toThrow('timeout')
    })
  })
})

describe('external', () => {
  it('lets real I/O finish in no virtual time, before timers', async () => {
    const context = createVirtualContext({ seed: 8 })
    await context.run(async () => {
      void context.sleep(1)
      const bytes = await context.external(readFile(fileURLToPath(import.meta.url)))
      expect(bytes.length).toBeGreaterThan(1000)
      expect(context.now()).toBe(0)
      await expect(context.external(Promise.reject(new Error('EIO')))).rejects.toThrow('EIO')
    })
  })

  it('leaves no trace of how fast the outside was', async () => {
    const simulate = async (delays: number[]): Promise<string> => {
      const context = createVirtualContext({ seed: 21, trace: true })
      const log: string[] = []
      await context.run(() =>
        Promise.all(
          delays.map((ms, i) =>
            context.spawn(`task ${i}`, async () => {
              await context.yield()
              await context.external(new Promise((resolve) => setTimeout(resolve, ms)))
              log.push(`${i}`)
              await context.sleep(3)
              log.push(`${i}`)
            }),
          ),
        ),
      )
      return JSON.stringify([log, context.trace])
    }
    expect(await simulate([15, 1, 8, 3])).toBe(await simulate([1, 12, 2, 18]))
  })

  it('continues after several outside waits at once in an order that only the seed decides', async () => {
    const simulate = async (seed: number, delays: number[]): Promise<string> => {
      const context = createVirtualContext({ seed })
      const log: number[] = []
      await context.run(() =>
        Promise.all(
          delays.map(async (ms, i) => {
            await context.external(new Promise((resolve) => setTimeout(resolve, ms)))
            log.push(i)
          }),
        ),
      )
      return log.join('')
    }
    const orders = new Set<string>()
    for (let seed = 0; seed < 12; seed++) {
      const order = await simulate(seed, [9, 1, 5])
      expect(await simulate(seed, [1, 6, 2])).toBe(order)
      orders.add(order)
    }
    expect(orders.size).toBeGreaterThan(2)
  })

  it('an outside wait that nobody awaits does not hold up the end', async () => {
    const context = createVirtualContext({ seed: 1 })
    expect(
      await context.run(() => {
        void context.external(new Promise(() => undefined))
        return 'done'
      }),
    ).toBe('done')
  })
})
