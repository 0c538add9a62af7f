import { beforeEach, describe, expect, it } from 'vitest'
import type { HostClock } from '../src/context/host-clock.ts'
import { LoopContext } from '../src/context/loop-context.ts'
import { RealLoop } from '../src/context/real-loop.ts'
import { settle } from './interleaving.ts'

/** A host whose time and turns the test moves by hand. */
class FakeHost implements HostClock {
  time = 100
  readonly turns: (() => void)[] = []
  readonly timeouts = new Map<() => void, number>()
  readonly background = new Set<() => void>()
  readonly reported: unknown[] = []

  now(): number {
    return this.time
  }

  turn(callback: () => void): void {
    this.turns.push(callback)
  }

  timeout(callback: () => void, ms: number, background: boolean): () => void {
    expect(ms, 'hosts call back at once beyond this').toBeLessThanOrEqual(0x7fff_ffff)
    const entry = (): void => callback()
    this.timeouts.set(entry, this.time + ms)
    if (background) this.background.add(entry)
    return () => void this.timeouts.delete(entry)
  }

  report(error: unknown): void {
    this.reported.push(error)
  }

  runTurn(): void {
    for (const callback of this.turns.splice(0)) callback()
  }

  /** Moves the time, fires timeouts that are due, and runs the turns that they ask for. */
  advanceTo(time: number): void {
    this.time = time
    for (const [entry, at] of this.timeouts) {
      if (at > time) continue
      this.timeouts.delete(entry)
      entry()
    }
    this.runTurn()
  }
}

describe('RealLoop', () => {
  let host: FakeHost
  let context: LoopContext

  beforeEach(() => {
    host = new FakeHost()
    context = new LoopContext('test', new RealLoop(host))
  })

  it('sleeps in the background have a timeout of their own, and wake in time', async () => {
    const log: string[] = []
    void context.sleep(50, undefined, { background: true }).then(() => log.push('background'))
    expect([...host.timeouts.keys()].filter((entry) => !host.background.has(entry))).toEqual([])
    const stop = new AbortController()
    const stopped = context.sleep(60, stop.signal, { background: true }).catch((error: unknown) => error)
    void context.sleep(70).then(() => log.push('sleep'))
    expect(host.timeouts.size).toBe(2)
    stop.abort('stop')
    expect(await stopped).toBe('stop')
    host.advanceTo(150)
    await settle()
    expect(log).toEqual(['background'])
    host.advanceTo(170)
    await settle()
    expect(log).toEqual(['background', 'sleep'])
    expect(host.timeouts.size).toBe(0)
  })

  it('runs bottom halves in order, never inside schedule, one host turn per generation', () => {
    const log: string[] = []
    context.schedule(() => {
      log.push('a')
      context.schedule(() => log.push('child of a'))
    })
    context.schedule(() => log.push('b'))
    expect(log).toEqual([])
    expect(host.turns).toHaveLength(1)
    host.runTurn()
    expect(log).toEqual(['a', 'b'])
    host.runTurn()
    expect(log).toEqual(['a', 'b', 'child of a'])
    expect(host.turns).toHaveLength(0)
  })

  it('a bottom half runs once for many requests, can ask again from within, and can be cancelled', () => {
    let runs = 0
    const half = context.bottomHalf(() => {
      if (++runs === 1) half.schedule()
    })
    for (let i = 0; i < 5; i++) half.schedule()
    expect(half.pending).toBe(true)
    host.runTurn()
    expect(runs).toBe(1)
    expect(half.pending).toBe(true)
    host.runTurn()
    expect(runs).toBe(2)
    half.schedule()
    half.cancel()
    expect(half.pending).toBe(false)
    host.runTurn()
    expect(runs).toBe(2)
  })

  it('a job can cancel another that was to run in the same turn', () => {
    const log: string[] = []
    const second = context.bottomHalf(() => log.push('second'))
    const timer = context.timer(() => log.push('timer'))
    context.schedule(() => {
      second.cancel()
      timer.cancel()
    })
    second.schedule()
    timer.arm(host.time)
    host.runTurn()
    host.runTurn()
    expect(log).toEqual([])
  })

  it('reports a throw and runs the others', () => {
    const log: string[] = []
    const failure = new Error('in a bottom half')
    context.schedule(() => {
      throw failure
    })
    context.schedule(() => log.push('other'))
    host.runTurn()
    expect(host.reported).toEqual([failure])
    expect(log).toEqual(['other'])
  })

  it('an unarmed or cancelled timer holds nothing of the host', () => {
    const timer = context.timer(() => undefined)
    expect(host.timeouts.size).toBe(0)
    timer.armIn(10)
    expect(host.timeouts.size).toBe(1)
    timer.cancel()
    expect(host.timeouts.size).toBe(0)
    expect(host.turns).toHaveLength(0)
    {
      using disposed = context.timer(() => undefined)
      disposed.armIn(10)
      expect(host.timeouts.size).toBe(1)
    }
    expect(host.timeouts.size).toBe(0)
  })

  it('fires timers by deadline with one host timeout, never early', () => {
    const log: string[] = []
    const late = context.timer(() => log.push('late'))
    const early = context.timer(() => log.push('early'))
    late.arm(130)
    early.arm(110.5)
    expect([...host.timeouts.values()]).toEqual([111])
    expect(early.deadline).toBe(110.5)
    host.advanceTo(111)
    expect(log).toEqual(['early'])
    expect(early.pending).toBe(false)
    expect(early.deadline).toBeUndefined()
    expect([...host.timeouts.values()]).toEqual([130])
    host.advanceTo(140)
    expect(log).toEqual(['early', 'late'])
    expect(host.timeouts.size).toBe(0)
  })

  it('waits again when the host calls back early', () => {
    let fired = false
    context.timer(() => (fired = true)).arm(110)
    const [[entry]] = [...host.timeouts] as [[() => void, number]]
    host.timeouts.delete(entry)
    host.time = 109.4
    entry()
    expect(fired).toBe(false)
    expect([...host.timeouts.values()]).toEqual([110.4])
    host.advanceTo(110.4)
    expect(fired).toBe(true)
  })

  it('reaches deadlines beyond what a host timeout can express', () => {
    let fired = false
    const far = 100 + 2 ** 33
    context.timer(() => (fired = true)).arm(far)
    for (let hop = 1; hop <= 4; hop++) host.advanceTo(100 + hop * 0x7fff_ffff)
    expect(fired).toBe(false)
    host.advanceTo(far)
    expect(fired).toBe(true)
  })

  it('re-arming replaces the deadline, and a timer that re-arms itself for now leaves the turn', () => {
    let runs = 0
    const timer = context.timer(() => {
      runs++
      timer.arm(context.now())
    })
    timer.arm(500)
    timer.arm(90)
    host.runTurn()
    expect(runs).toBe(1)
    host.runTurn()
    expect(runs).toBe(2)
  })

  it('an earlier timer replaces the host timeout of a later one', () => {
    context.timer(() => undefined).arm(500)
    context.timer(() => undefined).arm(200)
    context.timer(() => undefined).arm(300)
    expect([...host.timeouts.values()]).toEqual([200])
  })

  it('an aborted sleep holds nothing of the host', async () => {
    const controller = new AbortController()
    const sleep = context.sleep(1000, controller.signal)
    expect(host.timeouts.size).toBe(1)
    controller.abort(new Error('no more'))
    await expect(sleep).rejects.toThrow('no more')
    expect(host.timeouts.size).toBe(0)
  })

  it('refuses deadlines that are not finite', async () => {
    const timer = context.timer(() => undefined, 'cache')
    for (const ms of [Number.NaN, Infinity, -Infinity]) {
      expect(() => timer.arm(ms)).toThrow(expect.objectContaining({ code: 'invalid', message: expect.stringContaining('"cache"') }))
      expect(() => timer.armIn(ms)).toThrow(expect.objectContaining({ code: 'invalid' }))
      await expect(context.sleep(ms)).rejects.toMatchObject({ code: 'invalid' })
    }
    await expect(context.sleep(-1)).rejects.toMatchObject({ code: 'invalid' })
  })
})
