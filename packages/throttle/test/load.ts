import type { ThrottleMember } from '../src/index.ts'
import type { VirtualClock } from './virtual-clock.ts'

/** A request that went on. */
export interface Passed {
  readonly atMs: number
  readonly askedMs: number
  readonly isWrite: boolean
  readonly bytes: number
}

export interface LoadOptions {
  readonly member: ThrottleMember
  readonly clock: VirtualClock
  readonly untilMs: number
  /** Requests under way at once. */
  readonly depth: number
  readonly isWrite: boolean | (() => boolean)
  readonly bytes: number | (() => number)
  /** How long the disk takes for each; 0 unless given. */
  readonly serviceMs?: number
}

/** Keeps `depth` requests under way until `untilMs`; returns those that went on, as they do. */
export function load(options: LoadOptions): Passed[] {
  const passed: Passed[] = []
  const { member, clock } = options
  const worker = async (): Promise<void> => {
    while (clock.now() < options.untilMs) {
      const isWrite = typeof options.isWrite === 'boolean' ? options.isWrite : options.isWrite()
      const bytes = typeof options.bytes === 'number' ? options.bytes : options.bytes()
      const askedMs = clock.now()
      if (!member.tryPass(isWrite, bytes)) await member.intercept(isWrite, bytes)
      passed.push({ atMs: clock.now(), askedMs, isWrite, bytes })
      if (options.serviceMs !== undefined) await clock.sleepUntil(clock.now() + options.serviceMs)
    }
  }
  for (let i = 0; i < options.depth; i++) void worker()
  return passed
}

/** Units that went on in `[fromMs, toMs)`. */
export function unitsIn(
  passed: readonly Passed[], fromMs: number, toMs: number, units: (request: Passed) => number,
): number {
  let sum = 0
  for (const request of passed) if (request.atMs >= fromMs && request.atMs < toMs) sum += units(request)
  return sum
}

export const bytesOf = (request: Passed): number => request.bytes
export const one = (): number => 1
