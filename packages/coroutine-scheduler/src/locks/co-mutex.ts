import type { LockGuard } from './lock-guard.ts'
import { WaitList } from './wait-list.ts'
import type { LockOptions, WakeSource } from './wake-hook.ts'

/** The right to be inside a {@link CoMutex}. @public */
export interface MutexGuard extends LockGuard {
  /** The mutex that issued this guard. */
  readonly mutex: CoMutex
  /**
   * Takes the mutex again with this guard after a `release()`, at the end of the queue. For code that lets others in
   * while it waits for something slow, inside one `using` block.
   *
   * Throws SchedulerMisuse `already-held` when the guard holds the mutex or already waits for it; rejects with
   * `signal.reason`.
   */
  reacquire(signal?: AbortSignal): Promise<void>
}

/**
 * A mutual exclusion lock for asynchronous code, fair in order of arrival.
 *
 * A release hands the mutex directly to the longest waiter: nobody can overtake, so nobody starves. It is not recursive.
 * Taking a free mutex never waits and allocates only the guard with `tryAcquire`, plus one resolved promise with
 * `acquire`. On a hot path: `using guard = mutex.tryAcquire() ?? (await mutex.acquire())`.
 *
 * @public
 */
export class CoMutex {
  readonly #waiters: WaitList<Guard>
  #holder: Guard | undefined

  constructor(options?: LockOptions) {
    this.#waiters = new WaitList('mutex', options, (guard) => {
      guard.waiting = false
    })
  }

  get name(): string | undefined {
    return this.#waiters.name
  }

  /** True while somebody holds it. */
  get locked(): boolean {
    return this.#holder !== undefined
  }

  /** How many wait for it. */
  get waiting(): number {
    return this.#waiters.length
  }

  /** Takes the mutex if it is free, without waiting. Throws SchedulerMisuse `destroyed`. */
  tryAcquire(): MutexGuard | undefined {
    if (this.#holder !== undefined) return undefined
    this.#waiters.assertUsable()
    return (this.#holder = new Guard(this))
  }

  /**
   * Takes the mutex, waiting behind those who came before.
   *
   * Rejects with `signal.reason` when the signal aborts before the grant (also when the mutex is free), or with
   * SchedulerMisuse `destroyed`. An abort after the grant has no effect: the caller owns the mutex and releases it.
   */
  acquire(signal?: AbortSignal): Promise<MutexGuard> {
    return this.#take(new Guard(this), signal)
  }

  /** Runs `fn` inside the mutex and releases it however `fn` ends. */
  async run<T>(fn: () => T | PromiseLike<T>, signal?: AbortSignal): Promise<T> {
    const free = signal?.aborted === true ? undefined : this.tryAcquire()
    const guard = free ?? (await this.acquire(signal))
    try {
      return await fn()
    } finally {
      guard[Symbol.dispose]()
    }
  }

  /** True when `guard` is the one that holds this mutex now. */
  isHeldBy(guard: MutexGuard): boolean {
    return this.#holder === guard
  }

  /**
   * Releases the mutex; the same as `guard.release()`.
   *
   * Throws SchedulerMisuse `not-owner` for the guard of another mutex and `not-held` for one that was released before;
   * then nothing changes.
   */
  release(guard: MutexGuard): void {
    if (this.#holder !== guard) throw this.#wrongGuard(guard)
    const next = this.#waiters.first
    if (next === undefined) {
      this.#holder = undefined
      return
    }
    next.data.waiting = false
    this.#holder = next.data
    this.#waiters.grant(next)
  }

  /** See {@link MutexGuard.reacquire}. */
  async reacquire(guard: MutexGuard, signal?: AbortSignal): Promise<void> {
    if (!(guard instanceof Guard) || guard.mutex !== this) throw this.#wrongGuard(guard)
    if (this.#holder === guard || guard.waiting) {
      throw this.#waiters.misuse('already-held', 'was taken again with a guard that holds it or waits for it')
    }
    await this.#take(guard, signal)
  }

  /** Makes later waits continue in the turns of `context`. */
  attach(context: WakeSource): void {
    this.#waiters.attach(context)
  }

  /** Undoes `attach`: later waits continue at once. */
  detach(): void {
    this.#waiters.attach(undefined)
  }

  /** Ends its life. Throws SchedulerMisuse `busy` while it is held or waited for; then it stays usable. */
  destroy(): void {
    this.#waiters.destroy(this.#holder !== undefined)
  }

  #take(guard: Guard, signal: AbortSignal | undefined): Promise<MutexGuard> {
    if (signal !== undefined || this.#waiters.destroyed) {
      const refusal = this.#waiters.refusal(signal)
      if (refusal !== undefined) return Promise.reject(refusal.reason)
    }
    if (this.#holder === undefined) {
      this.#holder = guard
      return Promise.resolve(guard)
    }
    guard.waiting = true
    const waiter = this.#waiters.enqueue(guard, signal)
    return waiter.promise
  }

  #wrongGuard(guard: MutexGuard): Error {
    return guard.mutex === this
      ? this.#waiters.misuse('not-held', 'was released by a guard that does not hold it (released twice?)')
      : this.#waiters.misuse('not-owner', 'was given a guard of another mutex')
  }
}

class Guard implements MutexGuard {
  readonly mutex: CoMutex
  waiting = false

  constructor(mutex: CoMutex) {
    this.mutex = mutex
  }

  get held(): boolean {
    return this.mutex.isHeldBy(this)
  }

  release(): void {
    this.mutex.release(this)
  }

  reacquire(signal?: AbortSignal): Promise<void> {
    return this.mutex.reacquire(this, signal)
  }

  [Symbol.dispose](): void {
    if (this.held) this.mutex.release(this)
  }
}
