import { describe, expect, it } from 'vitest'
import { ThrottleGroup, type ThrottleLimits } from '../src/index.ts'
import { bytesOf, load, one, type Passed, unitsIn } from './load.ts'
import { pickSeed, seeded } from './seeded.ts'
import { VirtualClock } from './virtual-clock.ts'

/** The most and the least that went on in any window of `windowMs` between `fromMs` and `toMs`, by the second. */
function extremes(
  passed: readonly Passed[], fromMs: number, toMs: number, windowMs: number, units: (request: Passed) => number,
): { most: number; least: number } {
  let most = 0
  let least = Infinity
  for (let start = fromMs; start + windowMs <= toMs; start += 1000) {
    const rate = (unitsIn(passed, start, start + windowMs, units) / windowMs) * 1000
    most = Math.max(most, rate)
    least = Math.min(least, rate)
  }
  return { most, least }
}

const RATES: readonly [ThrottleLimits, boolean, number, (request: Passed) => number][] = [
  [{ 'bps-total': 200_000 }, true, 200_000, bytesOf],
  [{ 'bps-read': 200_000 }, false, 200_000, bytesOf],
  [{ 'bps-write': 200_000 }, true, 200_000, bytesOf],
  [{ 'iops-total': 50 }, false, 50, one],
  [{ 'iops-read': 50 }, false, 50, one],
  [{ 'iops-write': 50 }, true, 50, one],
  [{ 'iops-total': 50, 'iops-total-max': 200, 'iops-total-max-length': 5 }, true, 50, one],
  [{ 'bps-write': 200_000, 'bps-write-max': 300_000 }, true, 200_000, bytesOf],
  [{ 'iops-total': 50, 'bps-total': 10 ** 9 }, true, 50, one],
]

describe('the rate over windows longer than the burst', () => {
  it.each(RATES)('%o stays within 1 %%', async (limits, isWrite, rate, units) => {
    const seed = pickSeed()
    const random = seeded(seed)
    const clock = new VirtualClock()
    const group = new ThrottleGroup({ clock, limits })
    const passed = load({
      member: group.join(), clock, untilMs: 90_000, depth: 4, isWrite, bytes: () => 512 * (1 + random.below(16)),
    })
    await clock.run(90_000)
    // From 30 s on the bursts are used up; 20 s windows hold enough requests to tell 1 %.
    const { most, least } = extremes(passed, 30_000, 90_000, 20_000, units)
    expect(most, `BLOCKLOOM_SEED=${seed}`).toBeLessThanOrEqual(rate * 1.01)
    expect(least, `BLOCKLOOM_SEED=${seed}`).toBeGreaterThanOrEqual(rate * 0.99)
  })

  it.each([0, 1.7e12])('is exact with timers that are late, on a clock that reads %d', async (start) => {
    const seed = pickSeed()
    const random = seeded(seed)
    const clock = new VirtualClock(start, () => random.below(30))
    const group = new ThrottleGroup({ clock, limits: { 'iops-total': 200 } })
    const passed = load({ member: group.join(), clock, untilMs: start + 60_000, depth: 16, isWrite: true, bytes: 1 })
    await clock.run(start + 60_000)
    expect(passed.length, `BLOCKLOOM_SEED=${seed}`).toBeGreaterThanOrEqual(60 * 200 - 20)
    expect(passed.length, `BLOCKLOOM_SEED=${seed}`).toBeLessThanOrEqual(60 * 200 + 25)
  })

  it('is never more than what leaks and what the bucket holds, whatever the load', async () => {
    const seed = pickSeed()
    const random = seeded(seed)
    const clock = new VirtualClock()
    const limits = { 'bps-total': 100_000, 'bps-total-max': 400_000, 'bps-total-max-length': 3 }
    const group = new ThrottleGroup({ clock, limits })
    const largest = 50_000
    const all: Passed[][] = []
    for (let i = 0; i < 4; i++) {
      all.push(load({
        member: group.join(), clock, untilMs: 120_000, depth: 1 + random.below(4), isWrite: () => random.chance(0.5),
        bytes: () => 1 + random.below(largest), serviceMs: random.below(1500),
      }))
    }
    await clock.run(120_000)
    const passed = all.flat().sort((a, b) => a.atMs - b.atMs)
    expect(passed.length).toBeGreaterThan(200)
    for (let i = 0; i < passed.length; i++) {
      let sum = 0
      for (let j = i; j < passed.length; j++) {
        sum += passed[j].bytes
        const seconds = (passed[j].atMs - passed[i].atMs) / 1000
        const allowed = 100_000 * seconds + 1_200_000 + largest + 1
        const paced = 400_000 * seconds + 40_000 + largest + 1
        if (sum > Math.min(allowed, paced)) expect.fail(`BLOCKLOOM_SEED=${seed}: ${sum} bytes in ${seconds} s`)
      }
    }
  })
})

describe('bursts', () => {
  it('reach the burst rate for the burst length, then fall to the average', async () => {
    const clock = new VirtualClock()
    const limits = { 'iops-total': 10, 'iops-total-max': 200, 'iops-total-max-length': 20 }
    const group = new ThrottleGroup({ clock, limits })
    const passed = load({ member: group.join(), clock, untilMs: 60_000, depth: 4, isWrite: false, bytes: 4096 })
    await clock.run(60_000)
    // The first tenth of a second's worth may pass at once.
    for (let start = 1000; start < 20_000; start += 1000) {
      expect(Math.abs(unitsIn(passed, start, start + 1000, one) - 200)).toBeLessThanOrEqual(2)
    }
    expect(unitsIn(passed, 0, 1000, one)).toBeLessThanOrEqual(221)
    // docs/throttle.txt: the bucket leaks during the burst too, so the burst is 20 * 200 / (200 - 10) s long.
    expect(unitsIn(passed, 0, 21_000, one)).toBeGreaterThanOrEqual(4200)
    expect(Math.abs(unitsIn(passed, 22_000, 60_000, one) - 380)).toBeLessThanOrEqual(3)
  })

  it('of the default length pass a second of the burst rate at once', async () => {
    const clock = new VirtualClock()
    const group = new ThrottleGroup({ clock, limits: { 'iops-total': 10, 'iops-total-max': 200 } })
    const passed = load({ member: group.join(), clock, untilMs: 30_000, depth: 4, isWrite: false, bytes: 4096 })
    await clock.run(30_000)
    expect(unitsIn(passed, 0, 1, one)).toBe(201)
    expect(Math.abs(unitsIn(passed, 1000, 30_000, one) - 290)).toBeLessThanOrEqual(2)
  })

  it('are possible again after a time of less use', async () => {
    const clock = new VirtualClock()
    const limits = { 'iops-total': 100, 'iops-total-max': 500, 'iops-total-max-length': 2 }
    const group = new ThrottleGroup({ clock, limits })
    const member = group.join()
    const first = load({ member, clock, untilMs: 10_000, depth: 2, isWrite: true, bytes: 1 })
    await clock.run(15_000)
    expect(unitsIn(first, 8000, 9000, one)).toBeLessThanOrEqual(101)
    const second = load({ member, clock, untilMs: 16_000, depth: 2, isWrite: true, bytes: 1 })
    await clock.run(16_000)
    // 5 s without use leave room for 500 more than the average.
    expect(unitsIn(second, 15_000, 16_000, one)).toBeGreaterThanOrEqual(500)
  })

  it('let a request pass that is larger than the bucket, and make the next one pay', async () => {
    const clock = new VirtualClock()
    const group = new ThrottleGroup({ clock, limits: { 'bps-total': 1000 } })
    const member = group.join()
    expect(member.tryPass(true, 60_000)).toBe(true)
    const next = load({ member, clock, untilMs: 1, depth: 1, isWrite: false, bytes: 1 })
    await clock.run(100_000)
    expect(next[0].atMs).toBeCloseTo(59_900, 3)
  })
})
