import { LeakyBucket } from './leaky-bucket.ts'
import { BUCKET_NAMES, limitsProblem, type ThrottleLimits } from './throttle-limits.ts'

/** Waits below this many milliseconds are none: a clock near 1e12 ms can not tell such moments apart. */
const SHORTEST_WAIT_MS = 0.001

/**
 * The meters of one set of limits. It has no clock and waits for nobody: it says how long to wait, and is told what
 * passed.
 *
 * Times are milliseconds, fractions included, of any monotonic clock; one that goes back is taken to stand still.
 *
 * @public
 */
export class ThrottleState {
  #limits: ThrottleLimits = {}
  #last: number | null = null
  #buckets: LeakyBucket[] = []
  #bytesOf: readonly [LeakyBucket[], LeakyBucket[]] = [[], []]
  #operationsOf: readonly [LeakyBucket[], LeakyBucket[]] = [[], []]
  #operationSize = 0

  /** @throws RangeError with the message of {@link limitsProblem} */
  constructor(limits: ThrottleLimits = {}) {
    this.configure(limits)
  }

  /** The limits as they were given last. */
  get limits(): ThrottleLimits {
    return this.#limits
  }

  /**
   * Replaces the limits. All buckets begin empty again, as in the reference: a debt that was small for the old rate
   * could be hours at the new one.
   *
   * @throws RangeError with the message of {@link limitsProblem}, and then nothing is changed
   */
  configure(limits: ThrottleLimits): void {
    const problem = limitsProblem(limits)
    if (problem !== null) throw new RangeError(problem.message)
    const bytesOf: [LeakyBucket[], LeakyBucket[]] = [[], []]
    const operationsOf: [LeakyBucket[], LeakyBucket[]] = [[], []]
    const buckets: LeakyBucket[] = []
    for (const name of BUCKET_NAMES) {
      const average = limits[name] ?? 0
      if (average === 0) continue
      const bucket = new LeakyBucket(average, limits[`${name}-max`] ?? 0, limits[`${name}-max-length`] ?? 1)
      const table = name.startsWith('bps') ? bytesOf : operationsOf
      if (!name.endsWith('write')) table[0].push(bucket)
      if (!name.endsWith('read')) table[1].push(bucket)
      buckets.push(bucket)
    }
    this.#limits = Object.freeze({ ...limits })
    this.#last = null
    this.#buckets = buckets
    this.#bytesOf = bytesOf
    this.#operationsOf = operationsOf
    this.#operationSize = limits['iops-size'] ?? 0
  }

  /** True when some limit applies to this direction. */
  isLimited(isWrite: boolean): boolean {
    const direction = isWrite ? 1 : 0
    return this.#bytesOf[direction].length > 0 || this.#operationsOf[direction].length > 0
  }

  /** Milliseconds from `nowMs` until a request of this direction may pass, whatever its size; 0 when it may now. */
  computeWait(isWrite: boolean, nowMs: number): number {
    this.#leak(nowMs)
    const direction = isWrite ? 1 : 0
    let seconds = 0
    for (const bucket of this.#bytesOf[direction]) seconds = Math.max(seconds, bucket.wait())
    for (const bucket of this.#operationsOf[direction]) seconds = Math.max(seconds, bucket.wait())
    const wait = seconds * 1000
    return wait < SHORTEST_WAIT_MS ? 0 : wait
  }

  /**
   * Counts a request that passes at `nowMs`, whether or not it had to wait.
   *
   * @throws RangeError unless `bytes` is a safe integer from 0
   */
  account(isWrite: boolean, bytes: number, nowMs: number): void {
    checkBytes(bytes)
    this.#leak(nowMs)
    const direction = isWrite ? 1 : 0
    const size = this.#operationSize
    const operations = size > 0 && bytes > size ? bytes / size : 1
    for (const bucket of this.#bytesOf[direction]) bucket.pour(bytes)
    for (const bucket of this.#operationsOf[direction]) bucket.pour(operations)
  }

  #leak(nowMs: number): void {
    const last = this.#last
    if (last === null) {
      this.#last = nowMs
    } else if (nowMs > last) {
      this.#last = nowMs
      for (const bucket of this.#buckets) bucket.leak((nowMs - last) / 1000)
    }
  }
}

/** Throws a RangeError unless `bytes` is a safe integer from 0: anything else would spoil the meters. @internal */
export function checkBytes(bytes: number): void {
  if (!Number.isSafeInteger(bytes) || bytes < 0) {
    throw new RangeError(`bytes must be an integer from 0 to ${Number.MAX_SAFE_INTEGER}, not ${String(bytes)}`)
  }
}
