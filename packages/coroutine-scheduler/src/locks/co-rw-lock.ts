import type { LockGuard } from './lock-guard.ts'
import { WaitList } from './wait-list.ts'
import type { LockOptions, WakeSource } from './wake-hook.ts'

/** How a {@link CoRwLock} is held: together with other readers, or alone. @public */
export type RwMode = 'read' | 'write'

/** The right to be inside a {@link CoRwLock}. @public */
export interface RwGuard extends LockGuard {
  /** How it holds the lock; while not `held`, how it last did or asked to. */
  readonly mode: RwMode
  /**
   * Turns a reader into the writer. At once when it is the only reader and nobody waits; otherwise the read lock is
   * released and the guard waits at the end of the queue.
   *
   * Resolves with true when nobody wrote in between, so that what was read still holds, and with false when it must
   * be read again. Rejects with `signal.reason`, after which the guard holds nothing unless the signal had aborted
   * before the call. Rejects with SchedulerMisuse `wrong-mode` for a writer and `not-held`.
   */
  upgrade(signal?: AbortSignal): Promise<boolean>
  /**
   * Turns the writer into a reader, at once, and lets in the readers that wait directly behind.
   *
   * Throws SchedulerMisuse `wrong-mode` for a reader and `not-held`.
   */
  downgrade(): void
}

/**
 * A readers-writer lock for asynchronous code, fair in order of arrival.
 *
 * A writer that waits holds up the readers that come later, so writers do not starve; when it is through, all readers
 * up to the next waiting writer enter together. Not recursive: a reader that reads again behind a waiting writer is a
 * deadlock.
 *
 * @public
 */
export class CoRwLock {
  readonly #waiters: WaitList<Guard>
  #readers = 0
  #writer: Guard | undefined
  #writes = 0

  constructor(options?: LockOptions) {
    this.#waiters = new WaitList('rwlock', options, () => this.#admit())
  }

  get name(): string | undefined {
    return this.#waiters.name
  }

  /** How many hold it for reading. */
  get readers(): number {
    return this.#readers
  }

  /** True while somebody holds it for writing. */
  get writing(): boolean {
    return this.#writer !== undefined
  }

  /** How many wait, for either mode. */
  get waiting(): number {
    return this.#waiters.length
  }

  /** Takes the lock for reading if there is no writer and nobody waits. Throws SchedulerMisuse `destroyed`. */
  tryAcquireRead(): RwGuard | undefined {
    return this.#try('read')
  }

  /** Takes the lock for writing if nobody holds it. Throws SchedulerMisuse `destroyed`. */
  tryAcquireWrite(): RwGuard | undefined {
    return this.#try('write')
  }

  /** Takes the lock for reading. Rejects with `signal.reason`, or with SchedulerMisuse `destroyed`. */
  acquireRead(signal?: AbortSignal): Promise<RwGuard> {
    return this.#acquire('read', signal)
  }

  /** Takes the lock for writing. Rejects with `signal.reason`, or with SchedulerMisuse `destroyed`. */
  acquireWrite(signal?: AbortSignal): Promise<RwGuard> {
    return this.#acquire('write', signal)
  }

  /** Runs `fn` as a reader; `fn` may upgrade its guard. Releases however `fn` ends. */
  runRead<T>(fn: (guard: RwGuard) => T | PromiseLike<T>, signal?: AbortSignal): Promise<T> {
    return this.#run('read', fn, signal)
  }

  /** Runs `fn` as the writer; `fn` may downgrade its guard. Releases however `fn` ends. */
  runWrite<T>(fn: (guard: RwGuard) => T | PromiseLike<T>, signal?: AbortSignal): Promise<T> {
    return this.#run('write', fn, signal)
  }

  /** Releases the lock; the same as `guard.release()`. Throws SchedulerMisuse `not-owner` and `not-held`. */
  release(guard: RwGuard): void {
    this.#leave(this.#own(guard))
    this.#admit()
  }

  /** See {@link RwGuard.upgrade}. */
  async upgrade(guard: RwGuard, signal?: AbortSignal): Promise<boolean> {
    const own = this.#own(guard)
    if (own.mode === 'write') throw this.#waiters.misuse('wrong-mode', 'was upgraded by its writer')
    const refusal = this.#waiters.refusal(signal)
    if (refusal !== undefined) throw refusal.reason
    const before = this.#writes
    this.#leave(own)
    own.mode = 'write'
    if (this.#waiters.length === 0 && this.#fits(own)) {
      this.#enter(own)
      return true
    }
    const waiter = this.#waiters.enqueue(own, signal)
    this.#admit()
    await waiter.promise
    return own.intactSince === before
  }

  /** See {@link RwGuard.downgrade}. */
  downgrade(guard: RwGuard): void {
    const own = this.#own(guard)
    if (own.mode === 'read') throw this.#waiters.misuse('wrong-mode', 'was downgraded by a reader')
    this.#leave(own)
    own.mode = 'read'
    this.#enter(own)
    this.#admit()
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
    this.#waiters.destroy(this.#readers > 0 || this.#writer !== undefined)
  }

  #try(mode: RwMode): Guard | undefined {
    this.#waiters.assertUsable()
    const guard = new Guard(this, mode)
    if (this.#waiters.length > 0 || !this.#fits(guard)) return undefined
    return this.#enter(guard)
  }

  #acquire(mode: RwMode, signal: AbortSignal | undefined): Promise<Guard> {
    const refusal = this.#waiters.refusal(signal)
    if (refusal !== undefined) return Promise.reject(refusal.reason)
    const guard = new Guard(this, mode)
    if (this.#waiters.length === 0 && this.#fits(guard)) return Promise.resolve(this.#enter(guard))
    return this.#waiters.enqueue(guard, signal).promise
  }

  async #run<T>(mode: RwMode, fn: (guard: RwGuard) => T | PromiseLike<T>, signal?: AbortSignal): Promise<T> {
    const guard = await this.#acquire(mode, signal)
    try {
      return await fn(guard)
    } finally {
      guard[Symbol.dispose]()
    }
  }

  #fits(guard: Guard): boolean {
    return this.#writer === undefined && (guard.mode === 'read' || this.#readers === 0)
  }

  #enter(guard: Guard): Guard {
    guard.held = true
    if (guard.mode === 'read') {
      this.#readers++
    } else {
      guard.intactSince = this.#writes
      this.#writes++
      this.#writer = guard
    }
    return guard
  }

  #leave(guard: Guard): void {
    guard.held = false
    if (guard.mode === 'read') this.#readers--
    else this.#writer = undefined
  }

  #admit(): void {
    let head = this.#waiters.first
    while (head !== undefined && this.#fits(head.data)) {
      this.#enter(head.data)
      this.#waiters.grant(head)
      head = this.#waiters.first
    }
  }

  #own(guard: RwGuard): Guard {
    if (!(guard instanceof Guard) || guard.lock !== this) {
      throw this.#waiters.misuse('not-owner', 'was given a guard of another rwlock')
    }
    if (!guard.held) throw this.#waiters.misuse('not-held', 'was given a guard that holds nothing (released twice?)')
    return guard
  }
}

class Guard implements RwGuard {
  readonly lock: CoRwLock
  mode: RwMode
  held = false
  /** How many writers had entered before this one, to tell an upgrade whether it was overtaken. */
  intactSince = -1

  constructor(lock: CoRwLock, mode: RwMode) {
    this.lock = lock
    this.mode = mode
  }

  upgrade(signal?: AbortSignal): Promise<boolean> {
    return this.lock.upgrade(this, signal)
  }

  downgrade(): void {
    this.lock.downgrade(this)
  }

  release(): void {
    this.lock.release(this)
  }

  [Symbol.dispose](): void {
    if (this.held) this.lock.release(this)
  }
}
