import { describe, expect, it } from 'vitest'
import { ThrottleGroup } from '../src/index.ts'
import { bytesOf, load, one, type Passed, unitsIn } from './load.ts'
import { pickSeed, seeded } from './seeded.ts'
import { VirtualClock } from './virtual-clock.ts'

describe('members of a group', () => {
  it.each([true, false])('share evenly whatever their depths, writing: %s', async (isWrite) => {
    const clock = new VirtualClock()
    const group = new ThrottleGroup({ clock, limits: { 'iops-total': 100 } })
    const counts = [1, 2, 16, 64].map((depth) =>
      load({ member: group.join(), clock, untilMs: 40_000, depth, isWrite, bytes: 4096 }))
    await clock.run(40_000)
    const shares = counts.map((passed) => unitsIn(passed, 1000, 40_000, one))
    expect(shares.reduce((a, b) => a + b)).toBeGreaterThanOrEqual(3900 - 2)
    for (const share of shares) expect(Math.abs(share - 975)).toBeLessThanOrEqual(2)
  })

  it('share evenly also while a burst is paced', async () => {
    const clock = new VirtualClock()
    const limits = { 'bps-total': 4096, 'bps-total-max': 4096 * 100, 'bps-total-max-length': 30 }
    const group = new ThrottleGroup({ clock, limits })
    const counts = [1, 8, 32].map((depth) =>
      load({ member: group.join(), clock, untilMs: 20_000, depth, isWrite: true, bytes: 4096 }))
    await clock.run(20_000)
    const shares = counts.map((passed) => unitsIn(passed, 1000, 20_000, one))
    for (const share of shares) expect(Math.abs(share - 1900 / 3)).toBeLessThanOrEqual(3)
  })

  it('go in turn: nobody goes twice while another waits, and none starves', async () => {
    const seed = pickSeed()
    const random = seeded(seed)
    const clock = new VirtualClock()
    const group = new ThrottleGroup({ clock, limits: { 'bps-read': 300_000, 'iops-read': 60 } })
    const all = Array.from({ length: 6 }, () =>
      load({
        member: group.join(), clock, untilMs: 30_000, depth: 1 + random.below(10), isWrite: false,
        bytes: () => 1 + random.below(20_000), serviceMs: random.below(100),
      }))
    await clock.run(40_000)
    const events = all.flatMap((passed, who) => passed.map((request) => ({ who, ...request })))
      .sort((a, b) => a.atMs - b.atMs)
    for (let i = 0; i < events.length; i++) {
      const waited = events[i]
      // Those who went on after this member's turn before, or after it asked, and before it went on.
      const before = all[waited.who].filter((request) => request.atMs < waited.atMs).at(-1)?.atMs ?? -1
      const since = Math.max(before, waited.askedMs)
      const turns = new Map<number, number>()
      for (const other of events) {
        if (other.atMs > since && other.atMs < waited.atMs) turns.set(other.who, (turns.get(other.who) ?? 0) + 1)
      }
      for (const [who, count] of turns) {
        if (count > 1) expect.fail(`BLOCKLOOM_SEED=${seed}: member ${who} went ${count} times before ${waited.who}`)
      }
    }
    expect(Math.min(...all.map((passed) => passed.length)), `BLOCKLOOM_SEED=${seed}`).toBeGreaterThan(50)
  })

  it('keep the order of their own requests', async () => {
    const clock = new VirtualClock()
    const group = new ThrottleGroup({ clock, limits: { 'iops-total': 10 } })
    const members = [group.join(), group.join()]
    const order: string[] = []
    for (let i = 0; i < 10; i++) {
      for (const [who, member] of members.entries()) void member.intercept(true, 1).then(() => order.push(`${who}:${i}`))
    }
    await clock.run(10_000)
    expect(order.filter((entry) => entry.startsWith('0'))).toEqual(Array.from({ length: 10 }, (_, i) => `0:${i}`))
    expect(order.filter((entry) => entry.startsWith('1'))).toEqual(Array.from({ length: 10 }, (_, i) => `1:${i}`))
  })
})

describe('readers and writers', () => {
  it('share a total limit evenly, whatever their numbers', async () => {
    const clock = new VirtualClock()
    const group = new ThrottleGroup({ clock, limits: { 'iops-total': 100 } })
    const reads = load({ member: group.join(), clock, untilMs: 20_000, depth: 1, isWrite: false, bytes: 512 })
    const writes = load({ member: group.join(), clock, untilMs: 20_000, depth: 50, isWrite: true, bytes: 512 })
    await clock.run(20_000)
    const share = (passed: Passed[]): number => unitsIn(passed, 1000, 20_000, one)
    expect(Math.abs(share(reads) - 950)).toBeLessThanOrEqual(2)
    expect(Math.abs(share(writes) - 950)).toBeLessThanOrEqual(2)
  })

  it('have their own limits', async () => {
    const clock = new VirtualClock()
    const group = new ThrottleGroup({ clock, limits: { 'bps-read': 40_960, 'bps-write': 204_800 } })
    const member = group.join()
    const reads = load({ member, clock, untilMs: 20_000, depth: 8, isWrite: false, bytes: 4096 })
    const writes = load({ member, clock, untilMs: 20_000, depth: 8, isWrite: true, bytes: 4096 })
    await clock.run(20_000)
    expect(Math.abs(unitsIn(reads, 0, 20_000, bytesOf) / 20 / 40_960 - 1)).toBeLessThanOrEqual(0.02)
    expect(Math.abs(unitsIn(writes, 0, 20_000, bytesOf) / 20 / 204_800 - 1)).toBeLessThanOrEqual(0.02)
  })

  it('obey a total limit in one unit and separate ones in the other at the same time', async () => {
    const clock = new VirtualClock()
    const limits = { 'bps-total': 100 * 4096, 'iops-read': 10, 'iops-write': 1000 }
    const group = new ThrottleGroup({ clock, limits })
    const member = group.join()
    const reads = load({ member, clock, untilMs: 30_000, depth: 8, isWrite: false, bytes: 4096 })
    const writes = load({ member, clock, untilMs: 30_000, depth: 8, isWrite: true, bytes: 4096 })
    await clock.run(30_000)
    // Reads get their 10, writes what the bytes leave: neither starves the other.
    expect(Math.abs(unitsIn(reads, 10_000, 30_000, one) - 200)).toBeLessThanOrEqual(2)
    expect(Math.abs(unitsIn(writes, 10_000, 30_000, one) - 1800)).toBeLessThanOrEqual(18)
  })

  it('of a direction without limit are not held up by the other', async () => {
    const clock = new VirtualClock()
    const group = new ThrottleGroup({ clock, limits: { 'iops-write': 1 } })
    const member = group.join()
    void load({ member, clock, untilMs: 5000, depth: 8, isWrite: true, bytes: 1 })
    await clock.run(2500)
    for (let i = 0; i < 1000; i++) expect(member.tryPass(false, 2 ** 20)).toBe(true)
  })
})
