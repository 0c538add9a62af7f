import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import { ThrottleGroup, type ThrottleLimits, type ThrottleMember } from '../src/index.ts'
import { settle, VirtualClock } from './virtual-clock.ts'

function make(limits: ThrottleLimits = { 'iops-total': 10 }): { clock: VirtualClock; group: ThrottleGroup } {
  const clock = new VirtualClock()
  return { clock, group: new ThrottleGroup({ clock, limits, name: 'disks' }) }
}

/** Asks for `count` writes; the list grows with the times at which they go on. */
function ask(member: ThrottleMember, clock: VirtualClock, count: number, isWrite = true): number[] {
  const times: number[] = []
  for (let i = 0; i < count; i++) void member.intercept(isWrite, 1).then(() => times.push(clock.now()))
  return times
}

describe('a member', () => {
  it('does not wait and arms no timer where there is no limit', async () => {
    const { clock, group } = make({ 'iops-write': 1 })
    const member = group.join()
    const other = new ThrottleGroup({ clock }).join()
    for (let i = 0; i < 100; i++) {
      expect(member.tryPass(false, 4096)).toBe(true)
      expect(other.tryPass(true, 4096)).toBe(true)
    }
    await other.intercept(true, 1)
    expect(clock.armed).toBe(0)
  })

  it('has one timer armed while anyone waits, and none when nobody does', async () => {
    const { clock, group } = make()
    const a = ask(group.join(), clock, 5)
    const b = ask(group.join(), clock, 5, false)
    expect(clock.armed).toBe(1)
    await clock.run(5000)
    expect(a.length + b.length).toBe(10)
    expect(clock.armed).toBe(0)
  })

  it('answers tryPass without counting when it must wait', async () => {
    const { clock, group } = make()
    const member = group.join()
    expect([member.tryPass(true, 1), member.tryPass(true, 1), member.tryPass(true, 1)]).toEqual([true, true, false])
    for (let i = 0; i < 100; i++) expect(member.tryPass(true, 1)).toBe(false)
    await clock.run(100)
    expect([member.tryPass(true, 1), member.tryPass(true, 1)]).toEqual([true, false])
  })

  it('does not overtake those who wait, even when a timer is late', async () => {
    const clock = new VirtualClock(0, () => 500)
    const group = new ThrottleGroup({ clock, limits: { 'iops-total': 10 } })
    const order: string[] = []
    const early = group.join()
    for (let i = 0; i < 4; i++) void early.intercept(true, 1).then(() => order.push('early'))
    await clock.run(150)
    // Its time has come, its timer has not: the newcomer serves it first, and then has to wait itself.
    expect(group.join().tryPass(true, 1)).toBe(false)
    await settle()
    expect(order).toEqual(['early', 'early', 'early'])
  })

  it('that leaves takes its requests along and frees the others', async () => {
    const { clock, group } = make()
    const leaving = group.join()
    const staying = group.join()
    const gone = ask(leaving, clock, 50)
    const kept = ask(staying, clock, 5)
    await clock.run(1)
    expect(leaving.waiting).toBe(48)
    leaving.leave()
    leaving.leave()
    await settle()
    expect(gone).toHaveLength(50)
    expect(leaving.waiting).toBe(0)
    expect([...group.members]).toEqual([staying])
    expect(leaving.tryPass(true, 2 ** 30)).toBe(true)
    await clock.run(600)
    expect(kept).toHaveLength(5)
    expect(clock.armed).toBe(0)
    expect(leaving.left).toBe(true)
  })

  it('that is drained lets everything go on at once; the others pay for it, and it is limited again after', async () => {
    const { clock, group } = make()
    const drained = group.join()
    const other = group.join()
    const requests = [ask(drained, clock, 12), ask(drained, clock, 10, false)]
    const waiting = ask(other, clock, 1)
    await clock.run(1)
    drained.drainBegin()
    drained.drainBegin()
    await settle()
    expect(requests.map((times) => times.length)).toEqual([12, 10])
    expect(drained.tryPass(true, 1)).toBe(true)
    drained.drainEnd()
    expect(drained.drained).toBe(true)
    expect(drained.tryPass(true, 1)).toBe(true)
    drained.drainEnd()
    expect(drained.drained).toBe(false)
    expect(drained.tryPass(true, 1)).toBe(false)
    expect(() => { drained.drainEnd() }).toThrow('drainEnd without drainBegin')
    await clock.run(2250)
    expect(waiting).toHaveLength(0)
    await clock.run(2350)
    expect(waiting).toHaveLength(1)
  })

  it('gives up a request whose signal is aborted, with the signal\'s reason, and does not count it', async () => {
    const { clock, group } = make()
    const member = group.join()
    const controller = new AbortController()
    const reason = new Error('enough')
    const first = ask(member, clock, 2)
    const aborted = Array.from({ length: 20 }, () => member.intercept(true, 1, controller.signal))
    const last = ask(member, clock, 1)
    controller.abort(reason)
    const results = await Promise.allSettled(aborted)
    expect(results.every((result) => result.status === 'rejected' && result.reason === reason)).toBe(true)
    expect(member.waiting).toBe(1)
    await clock.run(110)
    expect([first.length, last.length]).toEqual([2, 1])
    await expect(member.intercept(true, 1, controller.signal)).rejects.toBe(reason)
    expect(clock.armed).toBe(0)
  })

  it('arms no timer any more when the last waiting request is aborted, and ignores a late abort', async () => {
    const { clock, group } = make()
    const member = group.join()
    const late = new AbortController()
    const passed = member.intercept(true, 1, late.signal)
    ask(member, clock, 1)
    const controller = new AbortController()
    const waiting = member.intercept(true, 1, controller.signal)
    const served = member.intercept(true, 1, late.signal)
    expect(clock.armed).toBe(1)
    controller.abort()
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' })
    await clock.run(200)
    expect(getEventListeners(late.signal, 'abort')).toHaveLength(0)
    late.abort()
    await Promise.all([passed, served])
    expect(clock.armed).toBe(0)
  })

  it('refuses sizes that are none', async () => {
    const { group } = make()
    const member = group.join()
    expect(() => member.tryPass(true, NaN)).toThrow(RangeError)
    expect(() => member.intercept(true, -1)).toThrow(RangeError)
    expect(member.tryPass(true, 1)).toBe(true)
  })
})

describe('new limits', () => {
  it('that are wider, or none, let those who wait go on', async () => {
    const { clock, group } = make({ 'iops-total': 1 })
    const times = ask(group.join(), clock, 50)
    await clock.run(2000)
    expect(times).toHaveLength(3)
    group.configure({ 'iops-total': 100 })
    await clock.run(2105)
    expect(times.length).toBeGreaterThanOrEqual(3 + 20)
    expect(times.length).toBeLessThanOrEqual(3 + 22)
    group.configure({})
    await settle()
    expect(times).toHaveLength(50)
    expect(clock.armed).toBe(0)
  })

  it('that are narrower hold for those who wait already', async () => {
    const { clock, group } = make({ 'iops-total': 1000 })
    const times = ask(group.join(), clock, 1000)
    await clock.run(100)
    group.configure({ 'iops-total': 1 })
    const before = times.length
    await clock.run(10_100)
    expect(times.length - before).toBeLessThanOrEqual(12)
  })

  it('that need a very long wait ask the clock for no more than its timers take', async () => {
    const { clock, group } = make({ 'bps-total': 1 })
    const member = group.join()
    expect(member.tryPass(true, 5_000_000)).toBe(true)
    const times = ask(member, clock, 1)
    expect(clock.due).toEqual([2 ** 30])
    await clock.run(5e9 - 200)
    expect(times).toEqual([])
    await clock.run(5e9)
    expect(times).toHaveLength(1)
  })
})
