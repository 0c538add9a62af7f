import { describe, expect, it } from 'vitest'
import { AioContextOwner, CoMutex, createRealContext, createVirtualContext } from '../src/index.ts'

describe('moving between contexts', () => {
  it('a timer keeps the time that remained', async () => {
    const from = createVirtualContext({ seed: 1, startMs: 1000 })
    const to = createVirtualContext({ seed: 2, startMs: 50 })
    const fired: number[] = []
    const timer = from.timer(() => fired.push(to.now()))
    await from.run(async () => {
      timer.armIn(100)
      await from.sleep(30)
    })
    timer.moveTo(to)
    expect(timer.pending).toBe(true)
    expect(timer.deadline).toBe(120)
    await from.run(() => from.sleep(1000))
    expect(fired).toEqual([])
    await to.run(() => to.sleep(1000))
    expect(fired).toEqual([120])
    expect(timer.pending).toBe(false)
  })

  it('an overdue timer fires at once, an idle one stays idle', async () => {
    const from = createVirtualContext({ seed: 1, startMs: 1000 })
    const to = createVirtualContext({ seed: 2 })
    let fired = 0
    const overdue = from.timer(() => fired++)
    const idle = from.timer(() => fired++)
    overdue.arm(10)
    overdue.moveTo(to)
    idle.moveTo(to)
    expect(overdue.deadline).toBe(0)
    expect(idle.pending).toBe(false)
    await to.run(() => to.sleep(5))
    expect(fired).toBe(1)
  })

  it('a timer that became due moves before it fires', async () => {
    for (let seed = 0; seed < 20; seed++) {
      const from = createVirtualContext({ seed })
      const to = createVirtualContext({ seed })
      let moved = false
      let firedWhere = ''
      const timer = from.timer(() => (firedWhere = moved ? 'to' : 'from'))
      const mover = from.timer(() => {
        if (!timer.pending) return
        moved = true
        timer.moveTo(to)
      })
      timer.arm(5)
      mover.arm(5)
      await from.run(() => from.sleep(10))
      expect(firedWhere).toBe(moved ? '' : 'from')
      await to.run(() => to.sleep(1))
      expect(firedWhere).toBe(moved ? 'to' : 'from')
    }
  })

  it('works from a virtual to a real context', async () => {
    const from = createVirtualContext({ seed: 1 })
    const to = createRealContext()
    const start = to.now()
    await new Promise<void>((resolve) => {
      const timer = from.timer(resolve)
      timer.armIn(8)
      timer.moveTo(to)
    })
    expect(to.now() - start).toBeGreaterThanOrEqual(8)
  })

  it('a detached timer stands still and can be armed relatively', async () => {
    const context = createVirtualContext({ seed: 1 })
    const fired: number[] = []
    const timer = context.timer(() => fired.push(context.now()), 'cache')
    timer.armIn(40)
    timer.detach()
    expect(() => timer.arm(5)).toThrow(expect.objectContaining({ code: 'detached', message: expect.stringContaining('"cache"') }))
    expect(() => timer.detach()).toThrow(expect.objectContaining({ code: 'detached' }))
    await context.run(() => context.sleep(100))
    timer.attach(context)
    expect(() => timer.attach(context)).toThrow(expect.objectContaining({ code: 'detached' }))
    await context.run(() => context.sleep(100))
    expect(fired).toEqual([140])
    timer.detach()
    timer.armIn(7)
    expect(timer.pending).toBe(true)
    timer.cancel()
    expect(timer.pending).toBe(false)
    timer.armIn(9)
    timer.attach(context)
    await context.run(() => context.sleep(100))
    expect(fired).toEqual([140, 209])
  })

  it('a bottom half keeps its request', async () => {
    const from = createVirtualContext({ seed: 1 })
    const to = createVirtualContext({ seed: 2 })
    let runs = 0
    const half = from.bottomHalf(() => runs++)
    half.schedule()
    half.moveTo(to)
    expect(half.pending).toBe(true)
    await from.run(() => from.sleep(1))
    expect(runs).toBe(0)
    await to.run(() => to.sleep(1))
    expect(runs).toBe(1)
    half.detach()
    half.schedule()
    half.schedule()
    expect(half.pending).toBe(true)
    half.attach(from)
    await from.run(() => from.sleep(1))
    expect(runs).toBe(2)
    expect(() => half.attach(to)).toThrow(expect.objectContaining({ code: 'detached' }))
  })

  it('siblings share clock and run', async () => {
    const context = createVirtualContext({ seed: 1 })
    const thread = context.sibling('iothread')
    expect(thread.name).toBe('iothread')
    await context.run(async () => {
      await thread.sleep(10)
      expect(context.now()).toBe(10)
      const stuck = new CoMutex({ name: 'stuck', context: thread })
      stuck.tryAcquire()
      void thread.spawn('worker', () => stuck.acquire())
      await context.sleep(1)
      expect(thread.tasks).toEqual(['worker'])
    })
    await expect(context.run(() => new Promise(() => undefined))).rejects.toMatchObject({
      code: 'deadlock',
      waiting: expect.arrayContaining(['task "worker" waits for mutex "stuck"']),
    })
  })
})

describe('AioContextOwner', () => {
  it('moves timers, bottom halves and locks together', async () => {
    const from = createVirtualContext({ seed: 1 })
    const to = createVirtualContext({ seed: 2 })
    const owner = new AioContextOwner(from)
    const log: string[] = []
    const timer = owner.timer(() => log.push(`timer ${owner.context.now()}`), 'clean')
    const half = owner.bottomHalf(() => log.push('half'))
    const mutex = owner.adopt(new CoMutex({ name: 'table' }))
    timer.armIn(20)
    half.schedule()

    owner.detach()
    expect(owner.attached).toBe(false)
    expect(() => owner.context).toThrow(expect.objectContaining({ code: 'detached' }))
    expect(() => owner.detach()).toThrow(expect.objectContaining({ code: 'detached' }))
    await from.run(() => from.sleep(100))
    expect(log).toEqual([])

    owner.attach(to)
    expect(owner.context).toBe(to)
    expect(() => owner.attach(from)).toThrow(expect.objectContaining({ code: 'detached' }))
    await to.run(async () => {
      mutex.tryAcquire()
      const controller = new AbortController()
      const waiting = mutex.acquire(controller.signal)
      await to.sleep(50)
      controller.abort(new Error('done'))
      await expect(waiting).rejects.toThrow('done')
    })
    expect(log).toEqual(['half', 'timer 20'])
    await expect(to.run(() => mutex.acquire())).rejects.toMatchObject({ waiting: ['main waits for mutex "table"'] })
  })

  it('leaves alone what was forgotten, and moving to the same context changes nothing', async () => {
    const from = createVirtualContext({ seed: 1 })
    const to = createVirtualContext({ seed: 2 })
    const owner = new AioContextOwner(from)
    const stays = owner.timer(() => undefined)
    const comes = owner.timer(() => undefined)
    stays.arm(10)
    comes.arm(10)
    owner.moveTo(from)
    expect(comes.deadline).toBe(10)
    owner.forget(stays)
    await from.run(() => from.sleep(4))
    owner.moveTo(to)
    expect(stays.deadline).toBe(10)
    expect(comes.deadline).toBe(6)
  })
})
