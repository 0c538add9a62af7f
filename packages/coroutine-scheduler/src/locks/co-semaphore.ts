import { SchedulerMisuse } from '../scheduler-misuse.ts'
import type { LockGuard } from './lock-guard.ts'
import { WaitList } from './wait-list.ts'
import type { LockOptions, WakeSource } from './wake-hook.ts'

/** Units taken from a {@link CoSemaphore}. @public */
export interface SemaphoreGuard extends LockGuard {
  /** How many units it holds while `held`. */
  readonly weight: number
}

/**
 * A counting semaphore with weights, fair in order of arrival: for example a budget of bytes or requests in flight.
 *
 * A request that does not fit waits at the head of the queue and holds up all later ones, also those that would fit.
 * That is the price for never starving a large request.
 *
 * @public
 */
export class CoSemaphore {
  /** How many units exist. */
  readonly capacity: number
  #available: number
  readonly #waiters: WaitList<Guard>

  /** `capacity` is a positive safe integer; otherwise SchedulerMisuse `invalid`. */
  constructor(capacity: number, options?: LockOptions) {
    if (!Number.isSafeInteger(capacity) || capacity < 1) {
      throw new SchedulerMisuse('invalid', `capacity must be a positive integer, not ${capacity}`)
    }
    this.capacity = capacity
    this.#available = capacity
    this.#waiters = new WaitList('semaphore', options, () => this.#admit())
  }

  get name(): string | undefined {
    return this.#waiters.name
  }

  /** How many units nobody holds. Waiters may be entitled to them. */
  get available(): number {
    return this.#available
  }

  /** How many wait. */
  get waiting(): number {
    return this.#waiters.length
  }

  /**
   * Takes `weight` units if nobody waits and they are there. Throws SchedulerMisuse `invalid` for a weight that is not
   * an integer from 1 to `capacity`, and `destroyed`.
   */
  tryAcquire(weight = 1): SemaphoreGuard | undefined {
    this.#assertWeight(weight)
    this.#waiters.assertUsable()
    if (this.#waiters.length > 0 || weight > this.#available) return undefined
    return this.#grant(new Guard(this, weight))
  }

  /**
   * Takes `weight` units, waiting behind those who came before.
   *
   * Rejects with `signal.reason` when the signal aborts before the grant, or with the errors of `tryAcquire`.
   */
  acquire(weight = 1, signal?: AbortSignal): Promise<SemaphoreGuard> {
    try {
      this.#assertWeight(weight)
    } catch (error) {
      return Promise.reject(error)
    }
    const refusal = this.#waiters.refusal(signal)
    if (refusal !== undefined) return Promise.reject(refusal.reason)
    const guard = new Guard(this, weight)
    if (this.#waiters.length === 0 && weight <= this.#available) return Promise.resolve(this.#grant(guard))
    return this.#waiters.enqueue(guard, signal).promise
  }

  /** Runs `fn` while holding `weight` units and gives them back however `fn` ends. */
  async run<T>(fn: () => T | PromiseLike<T>, weight = 1, signal?: AbortSignal): Promise<T> {
    const guard = await this.acquire(weight, signal)
    try {
      return await fn()
    } finally {
      guard[Symbol.dispose]()
    }
  }

  /** Gives units back; the same as `guard.release()`. Throws SchedulerMisuse `not-owner` and `not-held`. */
  release(guard: SemaphoreGuard): void {
    if (!(guard instanceof Guard) || guard.semaphore !== this) {
      throw this.#waiters.misuse('not-owner', 'was given a guard of another semaphore')
    }
    if (!guard.held) throw this.#waiters.misuse('not-held', 'was released by a guard that holds nothing (released twice?)')
    guard.held = false
    this.#available += guard.weight
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

  /** Ends its life. Throws SchedulerMisuse `busy` while units are held or waited for; then it stays usable. */
  destroy(): void {
    this.#waiters.destroy(this.#available < this.capacity)
  }

  #grant(guard: Guard): Guard {
    guard.held = true
    this.#available -= guard.weight
    return guard
  }

  #admit(): void {
    let head = this.#waiters.first
    while (head !== undefined && head.data.weight <= this.#available) {
      this.#grant(head.data)
      this.#waiters.grant(head)
      head = this.#waiters.first
    }
  }

  #assertWeight(weight: number): void {
    if (Number.isSafeInteger(weight) && weight >= 1 && weight <= this.capacity) return
    const what = `cannot grant a weight of ${weight}: it must be an integer from 1 to ${this.capacity}`
    throw this.#waiters.misuse('invalid', what)
  }
}

class Guard implements SemaphoreGuard {
  readonly semaphore: CoSemaphore
  readonly weight: number
  held = false

  constructor(semaphore: CoSemaphore, weight: number) {
    this.semaphore = semaphore
    this.weight = weight
  }

  release(): void {
    this.semaphore.release(this)
  }

  [Symbol.dispose](): void {
    if (this.held) this.semaphore.release(this)
  }
}
