import { Lane, Waiter } from './lane.ts'
import { LinkedList } from './linked-list.ts'
import type { ThrottleClock } from './throttle-clock.ts'
import type { ThrottleLimits } from './throttle-limits.ts'
import { checkBytes, ThrottleState } from './throttle-state.ts'

/** The longest sleep asked of a clock: within what a host's timer takes, which is 2^31 - 1 ms. */
const LONGEST_SLEEP_MS = 2 ** 30

/**
 * Whose turn it is: the meters of a group, and all requests that wait for them.
 *
 * Each direction has a ring of the lanes that wait. The first lane's first request goes when the meters let its
 * direction pass, then that lane goes to the end of the ring. When both directions may pass, they take turns.
 * A newcomer passes at once only if nobody of its direction waits and the meters allow it.
 *
 * @internal
 */
export class Turns {
  readonly #clock: ThrottleClock
  readonly #state: ThrottleState
  readonly #readers = new LinkedList<Lane>()
  readonly #writers = new LinkedList<Lane>()
  #lastWasWrite = true
  #wakeAtMs = Infinity
  #cancelWake: (() => void) | null = null

  constructor(clock: ThrottleClock, limits: ThrottleLimits) {
    this.#clock = clock
    this.#state = new ThrottleState(limits)
  }

  get limits(): ThrottleLimits {
    return this.#state.limits
  }

  configure(limits: ThrottleLimits): void {
    this.#state.configure(limits)
    this.#serve()
  }

  /** Passes one request of `lane` now, if nobody is before it and the meters allow it. */
  tryPass(lane: Lane, bytes: number): boolean {
    if (!this.#state.isLimited(lane.isWrite)) return true
    checkBytes(bytes)
    // A timer that is late must not let a newcomer pass before those whose time has come.
    this.#serve()
    const now = this.#clock.now()
    if (this.#ring(lane.isWrite).length > 0 || this.#state.computeWait(lane.isWrite, now) > 0) return false
    this.#lastWasWrite = lane.isWrite
    this.#state.account(lane.isWrite, bytes, now)
    return true
  }

  /** Queues a request that could not pass; rejects with the signal's reason when that comes first. */
  wait(lane: Lane, bytes: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        this.#forget(lane, waiter)
        reject(signal?.reason)
      }
      const waiter = new Waiter(bytes, () => {
        signal?.removeEventListener('abort', abort)
        resolve()
      })
      signal?.addEventListener('abort', abort, { once: true })
      const ring = this.#ring(lane.isWrite)
      lane.waiters.push(waiter)
      if (lane.list === null) ring.push(lane)
      this.#serve()
    })
  }

  /** Counts a request that passes whatever the meters say. */
  account(isWrite: boolean, bytes: number): void {
    if (this.#state.isLimited(isWrite)) this.#state.account(isWrite, bytes, this.#clock.now())
  }

  /** Lets all requests of `lane` go on at once; they are counted if `counted`. */
  releaseAll(lane: Lane, counted: boolean): void {
    this.#ring(lane.isWrite).remove(lane)
    for (let waiter = lane.waiters.first; waiter !== null; waiter = lane.waiters.first) {
      lane.waiters.remove(waiter)
      if (counted) this.account(lane.isWrite, waiter.bytes)
      waiter.release()
    }
    this.#disarmIfIdle()
  }

  /** True when nobody waits. */
  get #idle(): boolean {
    return this.#readers.length + this.#writers.length === 0
  }

  #ring(isWrite: boolean): LinkedList<Lane> {
    return isWrite ? this.#writers : this.#readers
  }

  /** Lets go on everyone whose time has come, and sees to it that this is called when the next one's has. */
  #serve(): void {
    if (this.#idle) return
    const now = this.#clock.now()
    while (!this.#idle) {
      const read = this.#readers.length > 0 ? this.#state.computeWait(false, now) : Infinity
      const write = this.#writers.length > 0 ? this.#state.computeWait(true, now) : Infinity
      const wait = Math.min(read, write)
      if (wait > 0) {
        this.#arm(now + wait, now)
        return
      }
      this.#serveOne(read === write ? !this.#lastWasWrite : write === 0, now)
    }
    this.#disarm()
  }

  #serveOne(isWrite: boolean, now: number): void {
    const ring = this.#ring(isWrite)
    const lane = ring.first as Lane
    const waiter = lane.waiters.first as Waiter
    this.#state.account(isWrite, waiter.bytes, now)
    this.#lastWasWrite = isWrite
    lane.waiters.remove(waiter)
    ring.remove(lane)
    if (lane.waiters.length > 0) ring.push(lane)
    waiter.release()
  }

  #forget(lane: Lane, waiter: Waiter): void {
    lane.waiters.remove(waiter)
    if (lane.waiters.length === 0) this.#ring(lane.isWrite).remove(lane)
    this.#disarmIfIdle()
  }

  #arm(atMs: number, now: number): void {
    const at = Math.min(atMs, now + LONGEST_SLEEP_MS)
    // One that comes too early only looks and sleeps again.
    if (this.#wakeAtMs <= at) return
    this.#disarm()
    this.#wakeAtMs = at
    this.#cancelWake = this.#clock.wakeAt(at, () => {
      this.#wakeAtMs = Infinity
      this.#cancelWake = null
      this.#serve()
    })
  }

  #disarm(): void {
    this.#cancelWake?.()
    this.#cancelWake = null
    this.#wakeAtMs = Infinity
  }

  #disarmIfIdle(): void {
    if (this.#idle) this.#disarm()
  }
}
