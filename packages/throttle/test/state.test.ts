import { describe, expect, it } from 'vitest'
import { type ThrottleLimits, ThrottleState } from '../src/index.ts'

const MIB = 2 ** 20

/** When the last of `count` requests goes on, each asked for when the one before is done. */
function lastStart(limits: ThrottleLimits, isWrite: boolean, bytes: number, count: number, start = 0): number {
  const state = new ThrottleState(limits)
  let now = start
  for (let i = 0; i < count; i++) {
    now += state.computeWait(isWrite, now)
    state.account(isWrite, bytes, now)
  }
  return (now - start) / 1000
}

describe('the meters', () => {
  // 32 writes of 1 MiB one after the other, timed with qemu-io 7.2: 3.78 s, 1.88 s and 1.84 s.
  it.each([
    ['no burst rate', { 'bps-total': 8 * MIB }, 3.775],
    ['a burst rate', { 'bps-total': 8 * MIB, 'bps-total-max': 16 * MIB }, 1.875],
    ['a burst rate for 2 s', { 'bps-total': 8 * MIB, 'bps-total-max': 16 * MIB, 'bps-total-max-length': 2 }, 1.8375],
  ])('take as long as the reference: %s', (_name, limits, seconds) => {
    expect(lastStart(limits, true, MIB, 32)).toBeCloseTo(seconds, 4)
    expect(lastStart(limits, true, MIB, 32, 1.7e12)).toBeCloseTo(seconds, 2)
  })

  it('count a large request as several operations, in proportion, and a small one as one', () => {
    const limits = { 'iops-total': 100, 'iops-size': 4096 }
    const rate = (bytes: number): number => 10_000 / lastStart(limits, false, bytes, 10_001)
    expect(rate(0)).toBeCloseTo(100, 0)
    expect(rate(4096)).toBeCloseTo(100, 0)
    expect(rate(6144)).toBeCloseTo(100 / 1.5, 0)
    expect(rate(8192)).toBeCloseTo(50, 0)
    expect(10_000 / lastStart({ 'iops-total': 100 }, false, 2 ** 30, 10_001)).toBeCloseTo(100, 0)
  })

  it('limit only the direction they are for', () => {
    const state = new ThrottleState({ 'bps-read': 1000 })
    state.account(false, 10_000, 0)
    state.account(true, 10_000, 0)
    expect(state.computeWait(true, 0)).toBe(0)
    expect(state.computeWait(false, 0)).toBeCloseTo(9900, 6)
    expect([state.isLimited(false), state.isLimited(true)]).toEqual([true, false])
  })

  it('wait for the strictest of several limits', () => {
    const state = new ThrottleState({ 'bps-total': 1000, 'iops-read': 10, 'iops-write': 1 })
    state.account(false, 1000, 0)
    expect(state.computeWait(false, 0)).toBeCloseTo(900, 6)
    expect(state.computeWait(true, 0)).toBeCloseTo(900, 6)
    state.account(true, 1, 0)
    expect(state.computeWait(false, 0)).toBeCloseTo(901, 6)
    expect(state.computeWait(true, 0)).toBeCloseTo(901, 6)
    state.account(true, 1, 0)
    expect(state.computeWait(true, 0)).toBeCloseTo(1900, 6)
  })

  it('take what was counted between two questions as poured in at its time', () => {
    const state = new ThrottleState({ 'iops-total': 10 })
    for (let i = 0; i < 20; i++) state.account(true, 1, 0)
    for (let i = 0; i < 20; i++) state.account(true, 1, 10_000)
    expect(state.computeWait(true, 10_000)).toBeCloseTo(1900, 6)
  })

  it('begin empty with new limits', () => {
    const state = new ThrottleState({ 'bps-total': 1000 })
    state.account(false, 10 ** 9, 0)
    state.configure({ 'bps-total': 1 })
    expect(state.computeWait(false, 0)).toBe(0)
  })

  it('take a clock that goes back as one that stands still', () => {
    const state = new ThrottleState({ 'iops-total': 10 })
    for (let i = 0; i < 11; i++) state.account(false, 1, 5000)
    expect(state.computeWait(false, 4000)).toBeCloseTo(1000, 6)
    expect(state.computeWait(false, 5500)).toBeCloseTo(500, 6)
  })

  it.each([NaN, -1, 0.5, Infinity, 2 ** 53])('refuse to count %d bytes', (bytes) => {
    const state = new ThrottleState({ 'bps-total': 1000 })
    expect(() => { state.account(true, bytes, 0) }).toThrow(RangeError)
    expect(state.computeWait(true, 0)).toBe(0)
  })
})
