import { SchedulerMisuse } from '../scheduler-misuse.ts'
import { IntervalNode, IntervalTree } from './interval-tree.ts'
import type { LockGuard } from './lock-guard.ts'
import { WaitList, type Waiter } from './wait-list.ts'
import type { LockOptions, WakeSource } from './wake-hook.ts'

/** How a range is locked: together with other shared locks, or alone. @public */
export type RangeMode = 'shared' | 'exclusive'

/** A lock on the bytes [offset, offset + length) of a {@link ByteRangeLock}. @public */
export interface RangeGuard extends LockGuard {
  readonly offset: number
  readonly length: number
  readonly mode: RangeMode
}

/**
 * Shared and exclusive locks on byte ranges, fair in order of arrival among those that overlap.
 *
 * Two requests conflict when they share a byte and at least one is exclusive. A request waits for all earlier requests
 * that it conflicts with, whether they hold or still wait, so a wide request is not starved by narrow ones; requests
 * that do not conflict pass freely. An empty range conflicts with nothing.
 *
 * Taking and releasing cost O(log n) in the number of requests, plus the number of conflicting ones.
 *
 * @public
 */
export class ByteRangeLock {
  readonly #shared = new IntervalTree<Guard>()
  readonly #exclusive = new IntervalTree<Guard>()
  readonly #waiters: WaitList<Guard>
  #held = 0
  #arrivals = 0

  constructor(options?: LockOptions) {
    this.#waiters = new WaitList('range lock', options, (guard) => this.#withdraw(guard))
  }

  get name(): string | undefined {
    return this.#waiters.name
  }

  /** How many ranges are locked. */
  get held(): number {
    return this.#held
  }

  /** How many requests wait. */
  get waiting(): number {
    return this.#waiters.length
  }

  /**
   * Locks a range if no earlier request conflicts.
   *
   * Offset and length are non-negative safe integers, and so is their sum; otherwise SchedulerMisuse `invalid`. Throws
   * `destroyed`.
   */
  tryAcquire(offset: number, length: number, mode: RangeMode): RangeGuard | undefined {
    this.#assertRange(offset, length)
    this.#waiters.assertUsable()
    const end = offset + length
    if (length > 0) {
      if (this.#exclusive.size > 0 && this.#exclusive.hasOverlap(offset, end)) return undefined
      if (mode === 'exclusive' && this.#shared.size > 0 && this.#shared.hasOverlap(offset, end)) return undefined
    }
    return this.#hold(this.#enter(offset, length, mode))
  }

  /**
   * Locks a range, waiting for all earlier requests that conflict.
   *
   * Rejects with `signal.reason` when the signal aborts before the grant, or with the errors of `tryAcquire`.
   */
  acquire(offset: number, length: number, mode: RangeMode, signal?: AbortSignal): Promise<RangeGuard> {
    try {
      this.#assertRange(offset, length)
    } catch (error) {
      return Promise.reject(error)
    }
    const refusal = this.#waiters.refusal(signal)
    if (refusal !== undefined) return Promise.reject(refusal.reason)
    const conflicts = length === 0 ? 0 : this.#countConflicts(offset, offset + length, mode)
    const guard = this.#enter(offset, length, mode)
    if (conflicts === 0) return Promise.resolve(this.#hold(guard))
    guard.conflicts = conflicts
    guard.waiter = this.#waiters.enqueue(guard, signal)
    return guard.waiter.promise
  }

  /** Runs `fn` with the range locked and releases it however `fn` ends. */
  async run<T>(
    offset: number,
    length: number,
    mode: RangeMode,
    fn: () => T | PromiseLike<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    const guard = await this.acquire(offset, length, mode, signal)
    try {
      return await fn()
    } finally {
      guard[Symbol.dispose]()
    }
  }

  /** Releases a range; the same as `guard.release()`. Throws SchedulerMisuse `not-owner` and `not-held`. */
  release(guard: RangeGuard): void {
    if (!(guard instanceof Guard) || guard.lock !== this) {
      throw this.#waiters.misuse('not-owner', 'was given a guard of another range lock')
    }
    if (!guard.held) throw this.#waiters.misuse('not-held', 'was released by a guard that holds nothing (released twice?)')
    guard.held = false
    this.#held--
    this.#withdraw(guard)
  }

  /** Makes later waits continue in the turns of `context`. */
  attach(context: WakeSource): void {
    this.#waiters.attach(context)
  }

  /** Undoes `attach`: later waits continue at once. */
  detach(): void {
    this.#waiters.attach(undefined)
  }

  /** Ends its life. Throws SchedulerMisuse `busy` while a range is held or waited for; then it stays usable. */
  destroy(): void {
    this.#waiters.destroy(this.#held > 0)
  }

  #countConflicts(start: number, end: number, mode: RangeMode): number {
    const exclusive = this.#exclusive.size === 0 ? 0 : this.#exclusive.countOverlaps(start, end)
    if (mode === 'shared' || this.#shared.size === 0) return exclusive
    return exclusive + this.#shared.countOverlaps(start, end)
  }

  #enter(offset: number, length: number, mode: RangeMode): Guard {
    const guard = new Guard(this, offset, length, mode, this.#arrivals++)
    if (length > 0) (mode === 'shared' ? this.#shared : this.#exclusive).insert(guard)
    return guard
  }

  #hold(guard: Guard): Guard {
    guard.held = true
    this.#held++
    return guard
  }

  /** Takes a released or aborted request out, and lets in whoever had waited for it alone. */
  #withdraw(gone: Guard): void {
    if (gone.length === 0) return
    ;(gone.mode === 'shared' ? this.#shared : this.#exclusive).remove(gone)
    if (this.#waiters.length === 0) return
    const affected: Guard[] = []
    this.#exclusive.collectOverlaps(gone.start, gone.end, affected)
    if (gone.mode === 'exclusive') this.#shared.collectOverlaps(gone.start, gone.end, affected)
    // Exactly the later ones had counted it when they arrived.
    const admitted = affected.filter((other) => other.order > gone.order && --other.conflicts === 0)
    if (admitted.length > 1) admitted.sort((a, b) => a.order - b.order)
    for (const guard of admitted) {
      this.#hold(guard)
      this.#waiters.grant(guard.waiter!)
    }
  }

  #assertRange(offset: number, length: number): void {
    if (Number.isSafeInteger(offset) && offset >= 0 && Number.isSafeInteger(length) && length >= 0) {
      if (offset + length <= Number.MAX_SAFE_INTEGER) return
    }
    throw new SchedulerMisuse('invalid', `${this.#waiters.label} cannot lock ${length} bytes at offset ${offset}`)
  }
}

class Guard extends IntervalNode implements RangeGuard {
  readonly lock: ByteRangeLock
  readonly mode: RangeMode
  held = false
  /** How many earlier requests it still waits for. */
  conflicts = 0
  waiter: Waiter<Guard> | undefined

  constructor(lock: ByteRangeLock, offset: number, length: number, mode: RangeMode, order: number) {
    super(offset, offset + length, order)
    this.lock = lock
    this.mode = mode
  }

  get offset(): number {
    return this.start
  }

  get length(): number {
    return this.end - this.start
  }

  release(): void {
    this.lock.release(this)
  }

  [Symbol.dispose](): void {
    if (this.held) this.lock.release(this)
  }
}
