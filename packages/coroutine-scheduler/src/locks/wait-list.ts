import { SchedulerMisuse } from '../scheduler-misuse.ts'
import type { LockOptions, Wait, WakeHook, WakeSource } from './wake-hook.ts'

/**
 * The waiters of one lock, in order of arrival: a doubly linked list, so that an aborted waiter leaves in O(1).
 *
 * A waiter is in the list exactly as long as neither granted nor failed. Whichever comes first wins: after a grant the
 * abort signal is no longer listened to, so a granted lock is never lost to a late abort.
 *
 * @internal
 */
export class WaitList<T> {
  readonly kind: string
  readonly name: string | undefined
  first: Waiter<T> | undefined
  length = 0
  #last: Waiter<T> | undefined
  #hook: WakeHook | undefined
  #destroyed = false
  readonly #onAborted: ((data: T) => void) | undefined

  /** `onAborted` runs after a waiter left by its signal, so that the lock can let in whoever stood behind it. */
  constructor(kind: string, options: LockOptions | undefined, onAborted?: (data: T) => void) {
    this.kind = kind
    this.name = options?.name
    this.#hook = options?.context?.wakes
    this.#onAborted = onAborted
  }

  get label(): string {
    return this.name === undefined ? `${this.kind} (unnamed)` : `${this.kind} "${this.name}"`
  }

  /** Later waits continue in this context's turns; those that wait already stay with theirs. */
  attach(context: WakeSource | undefined): void {
    this.#hook = context?.wakes
  }

  /** Why a new wait or grant must be refused right now, or undefined. */
  refusal(signal: AbortSignal | undefined): { readonly reason: unknown } | undefined {
    if (this.#destroyed) return { reason: this.misuse('destroyed', 'was used after destroy()') }
    return signal?.aborted === true ? { reason: signal.reason } : undefined
  }

  get destroyed(): boolean {
    return this.#destroyed
  }

  assertUsable(): void {
    if (this.#destroyed) throw this.misuse('destroyed', 'was used after destroy()')
  }

  /** Adds a waiter at the end. The caller has checked `refusal`. */
  enqueue(data: T, signal: AbortSignal | undefined): Waiter<T> {
    const waiter = new Waiter(this, data, signal, this.#hook)
    waiter.previous = this.#last
    if (this.#last === undefined) this.first = waiter
    else this.#last.next = waiter
    this.#last = waiter
    this.length++
    signal?.addEventListener('abort', waiter)
    this.#hook?.blocked(waiter)
    return waiter
  }

  /** Ends the wait with success, wherever in the list the waiter stands. */
  grant(waiter: Waiter<T>): void {
    this.#remove(waiter)
    waiter.end()
  }

  /** Ends the wait with the signal's reason. */
  abort(waiter: Waiter<T>, reason: unknown): void {
    this.#remove(waiter)
    waiter.fail(reason)
    this.#onAborted?.(waiter.data)
  }

  /** Marks the lock as gone, or throws `busy` when it is in use. Idempotent. */
  destroy(inUse: boolean): void {
    if (inUse) throw this.misuse('busy', 'was destroyed while held')
    if (this.length > 0) throw this.misuse('busy', `was destroyed while ${this.length} waited for it`)
    this.#destroyed = true
  }

  misuse(code: SchedulerMisuse['code'], what: string): SchedulerMisuse {
    return new SchedulerMisuse(code, `${this.label} ${what}`)
  }

  #remove(waiter: Waiter<T>): void {
    if (waiter.previous === undefined) this.first = waiter.next
    else waiter.previous.next = waiter.next
    if (waiter.next === undefined) this.#last = waiter.previous
    else waiter.next.previous = waiter.previous
    waiter.previous = undefined
    waiter.next = undefined
    this.length--
    waiter.signal?.removeEventListener('abort', waiter)
  }
}

/** One entry of a {@link WaitList}; it listens to its abort signal itself, which saves a closure. @internal */
export class Waiter<T> implements Wait {
  next: Waiter<T> | undefined
  previous: Waiter<T> | undefined
  readonly data: T
  readonly signal: AbortSignal | undefined
  readonly promise: Promise<T>
  readonly #list: WaitList<T>
  readonly #hook: WakeHook | undefined
  #resolve!: (data: T) => void
  #reject!: (reason: unknown) => void
  #failure: { readonly reason: unknown } | undefined

  constructor(list: WaitList<T>, data: T, signal: AbortSignal | undefined, hook: WakeHook | undefined) {
    this.#list = list
    this.data = data
    this.signal = signal
    this.#hook = hook
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  get label(): string {
    return this.#list.label
  }

  /** The abort event. */
  handleEvent(): void {
    this.#list.abort(this, this.signal!.reason)
  }

  fail(reason: unknown): void {
    this.#failure = { reason }
    this.end()
  }

  end(): void {
    if (this.#hook === undefined) this.settle()
    else this.#hook.resume(this)
  }

  settle(): void {
    if (this.#failure === undefined) this.#resolve(this.data)
    else this.#reject(this.#failure.reason)
  }
}
