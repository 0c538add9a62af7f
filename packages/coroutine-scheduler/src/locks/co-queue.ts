import { SchedulerMisuse } from '../scheduler-misuse.ts'
import type { MutexGuard } from './co-mutex.ts'
import { WaitList } from './wait-list.ts'
import type { LockOptions, WakeSource } from './wake-hook.ts'

/**
 * A queue of tasks that wait to be woken: a condition variable without a memory.
 *
 * A wake-up reaches only those who wait at that moment, in order of arrival. A woken task must check its condition
 * again: another task may have run in between.
 *
 * @public
 */
export class CoQueue {
  readonly #waiters: WaitList<void>

  constructor(options?: LockOptions) {
    this.#waiters = new WaitList('queue', options)
  }

  get name(): string | undefined {
    return this.#waiters.name
  }

  /** How many wait. */
  get waiting(): number {
    return this.#waiters.length
  }

  /** Waits to be woken. Rejects with `signal.reason`, or with SchedulerMisuse `destroyed`. */
  wait(signal?: AbortSignal): Promise<void> {
    const refusal = this.#waiters.refusal(signal)
    if (refusal !== undefined) return Promise.reject(refusal.reason)
    return this.#waiters.enqueue(undefined, signal).promise
  }

  /**
   * Releases the mutex, waits to be woken, and takes the mutex again with the same guard. Between the release and the
   * start of the wait nothing runs, so a wake-up by whoever takes the mutex next is never missed.
   *
   * However it ends, the guard holds the mutex again, also after an abort, which therefore is reported only once the
   * mutex is free. Throws SchedulerMisuse `not-held` when the guard does not hold its mutex.
   */
  async waitReleasing(guard: MutexGuard, signal?: AbortSignal): Promise<void> {
    if (!guard.held) throw new SchedulerMisuse('not-held', `${this.#waiters.label} was given a guard that holds nothing`)
    const refusal = this.#waiters.refusal(signal)
    if (refusal !== undefined) throw refusal.reason
    const woken = this.#waiters.enqueue(undefined, signal).promise
    guard.release()
    try {
      await woken
    } finally {
      await guard.reacquire()
    }
  }

  /** Wakes the longest waiter; false when nobody waits. */
  wakeOne(): boolean {
    const first = this.#waiters.first
    if (first === undefined) return false
    this.#waiters.grant(first)
    return true
  }

  /** Wakes all who wait now, in order of arrival, and returns how many they were. */
  wakeAll(): number {
    const count = this.#waiters.length
    for (let i = 0; i < count; i++) this.wakeOne()
    return count
  }

  /** Makes later waits continue in the turns of `context`. */
  attach(context: WakeSource): void {
    this.#waiters.attach(context)
  }

  /** Undoes `attach`: later waits continue at once. */
  detach(): void {
    this.#waiters.attach(undefined)
  }

  /** Ends its life. Throws SchedulerMisuse `busy` while somebody waits; then it stays usable. */
  destroy(): void {
    this.#waiters.destroy(false)
  }
}
