import { describe, expect, it } from 'vitest'
import { hasLimits, limitsProblem, ThrottleGroup, type ThrottleLimits, ThrottleState } from '../src/index.ts'
import { VirtualClock } from './virtual-clock.ts'

const CONFLICT = 'bps/iops/max total values and read/write values cannot be used at the same time'
const WITHIN = 'bps/iops/max values must be within [0, 1000000000000000]'
const REQUIRE = 'bps_max/iops_max require corresponding bps/iops values'
const LOWER = 'bps_max/iops_max cannot be lower than bps/iops'
const ZERO = 'the burst length cannot be 0'
const WITHOUT = 'burst length set without burst rate'
const TOO_HIGH = 'burst length too high for this burst rate'
const SIZE = 'iops size requires an iops value to be set'

// The answers of qemu-io 7.2 to the same options of a throttle-group object.
const REFUSED: readonly [ThrottleLimits, string, string][] = [
  [{ 'bps-total': 1, 'bps-read': 1 }, 'bps-total', CONFLICT],
  [{ 'iops-total': 1, 'iops-write': 1 }, 'iops-total', CONFLICT],
  [{ 'bps-total-max': 1, 'bps-read-max': 1 }, 'bps-total-max', CONFLICT],
  [{ 'bps-read': 8388608, 'bps-total-max': 5, 'bps-read-max': 8388608 }, 'bps-total-max', CONFLICT],
  [{ 'bps-total': 1e15 + 1, 'bps-read': 10 }, 'bps-total', CONFLICT],
  [{ 'bps-total': 10, 'bps-read': 10, 'iops-size': 4 }, 'bps-total', CONFLICT],
  [{ 'bps-total': 1, 'bps-read-max': 1 }, 'bps-read-max', REQUIRE],
  [{ 'bps-read': 8388608, 'bps-total-max': 5 }, 'bps-total-max', REQUIRE],
  [{ 'bps-total-max': 5 }, 'bps-total-max', REQUIRE],
  [{ 'bps-total': 10, 'bps-total-max': 5 }, 'bps-total-max', LOWER],
  [{ 'bps-total': 10, 'bps-total-max': 5, 'iops-total': 1e15 + 1 }, 'bps-total-max', LOWER],
  [{ 'bps-total-max-length': 5 }, 'bps-total-max-length', WITHOUT],
  [{ 'bps-total': 10, 'bps-total-max-length': 5 }, 'bps-total-max-length', WITHOUT],
  [{ 'bps-total': 10, 'bps-total-max': 10, 'bps-total-max-length': 0 }, 'bps-total-max-length', ZERO],
  [{ 'bps-total': 10, 'bps-total-max-length': 0 }, 'bps-total-max-length', ZERO],
  [{ 'bps-total-max-length': 0 }, 'bps-total-max-length', ZERO],
  [{ 'bps-total-max': 5, 'bps-total-max-length': 0 }, 'bps-total-max-length', ZERO],
  [{ 'bps-total': 10, 'bps-total-max': 1e15 + 1, 'bps-total-max-length': 0 }, 'bps-total-max', WITHIN],
  [{ 'iops-size': 4096 }, 'iops-size', SIZE],
  [{ 'iops-size': 4096, 'bps-total': 100 }, 'iops-size', SIZE],
  [{ 'iops-size': 99, 'bps-read': 1e15 + 1 }, 'iops-size', SIZE],
  [{ 'iops-size': -1, 'iops-read': 1 }, 'iops-size', 'Property values cannot be negative'],
  [{ 'bps-total': 1e15 + 1 }, 'bps-total', WITHIN],
  [{ 'bps-total': -10 }, 'bps-total', WITHIN],
  [{ 'iops-total': 10, 'iops-total-max': 5, 'iops-size': 99, 'bps-read': 1e15 + 1 }, 'bps-read', WITHIN],
  [{ 'bps-total': 10, 'bps-total-max': 1e15, 'bps-total-max-length': 2 }, 'bps-total-max-length', TOO_HIGH],
  [
    { 'bps-total-max': 10, 'bps-total-max-length': 4294967296 }, 'bps-total-max-length',
    'bps-total-max-length value must be in the range [0, 4294967295]',
  ],
  [{ 'bps-read': 0.5 }, 'bps-read', "Parameter 'bps-read' expects an integer"],
  [{ 'bps-read': NaN }, 'bps-read', "Parameter 'bps-read' expects an integer"],
  [{ 'bps-read': '5' } as never, 'bps-read', "Parameter 'bps-read' expects an integer"],
  [{ 'bps-raed': 5 } as never, 'bps-raed', "Parameter 'bps-raed' is unexpected"],
]

const ACCEPTED: readonly ThrottleLimits[] = [
  {},
  { 'bps-total': 0, 'bps-read': 5 },
  { 'bps-total': 1e15 },
  { 'bps-total-max-length': 1 },
  { 'bps-total': 10, 'bps-total-max': 10 },
  { 'bps-total': 10, 'bps-total-max': 1e15, 'bps-total-max-length': 1 },
  { 'bps-total': 1, 'bps-total-max': 10, 'bps-total-max-length': 4294967295 },
  { 'bps-total': 1, 'iops-read': 10, 'iops-write': 5, 'iops-size': 4096 },
  { 'bps-read': 1, 'bps-write': 2, 'iops-total': 3 },
  { 'bps-read': undefined, 'iops-total': 3 },
]

describe('limits', () => {
  it.each(REFUSED)('%o is refused because of %s', (limits, field, message) => {
    expect(limitsProblem(limits)).toEqual({ field, message })
    expect(() => new ThrottleState(limits)).toThrow(RangeError)
    expect(() => new ThrottleGroup({ clock: new VirtualClock(), limits })).toThrow(message)
  })

  it.each(ACCEPTED)('%o is accepted', (limits) => {
    expect(limitsProblem(limits)).toBeNull()
    expect(new ThrottleState(limits).limits).toEqual(limits)
  })

  it('are seen to limit something or nothing', () => {
    expect(hasLimits({})).toBe(false)
    expect(hasLimits({ 'bps-total': 0, 'iops-total-max-length': 1 })).toBe(false)
    expect(hasLimits({ 'iops-write': 1 })).toBe(true)
  })

  it('stay as they were when new ones are refused', () => {
    const group = new ThrottleGroup({ clock: new VirtualClock(), limits: { 'iops-total': 5 } })
    expect(() => { group.configure({ 'iops-size': 5 }) }).toThrow(SIZE)
    expect(group.limits).toEqual({ 'iops-total': 5 })
  })
})
