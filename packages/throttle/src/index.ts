/**
 * Leaky buckets and throttle groups: limits for bytes and operations per second, with bursts.
 *
 * ```ts
 * import { ThrottleGroup } from '@blockloom/throttle'
 *
 * const clock = {
 *   now: () => performance.now(),
 *   wakeAt(atMs: number, wake: () => void) {
 *     const timer = setTimeout(wake, Math.max(atMs - performance.now(), 0))
 *     return () => clearTimeout(timer)
 *   },
 * }
 * const group = new ThrottleGroup({ clock, limits: { 'iops-total': 100, 'iops-total-max': 2000 } })
 * const disk = group.join()
 * await disk.intercept(true, 4096) // waits until a write of 4096 bytes may go on
 * ```
 *
 * @packageDocumentation
 */
export type { ThrottleClock } from './throttle-clock.ts'
export { ThrottleGroup } from './throttle-group.ts'
export type { ThrottleGroupOptions } from './throttle-group.ts'
export { hasLimits, limitsProblem, THROTTLE_VALUE_MAX } from './throttle-limits.ts'
export type { BucketName, LimitsProblem, ThrottleLimits } from './throttle-limits.ts'
export { ThrottleMember } from './throttle-member.ts'
export { ThrottleState } from './throttle-state.ts'
