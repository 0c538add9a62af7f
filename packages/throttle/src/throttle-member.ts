import { Lane } from './lane.ts'
import { checkBytes } from './throttle-state.ts'
import type { Turns } from './turns.ts'

const PASSED = Promise.resolve()

/**
 * One user of a throttle group: a disk, whose requests share the group's limits with those of the other members.
 *
 * ```ts
 * if (!member.tryPass(true, data.length)) await member.intercept(true, data.length, signal)
 * await write(offset, data)
 * ```
 *
 * Requests of one direction go on in the order in which they came.
 *
 * @public
 */
export class ThrottleMember {
  readonly #turns: Turns
  readonly #reads = new Lane(false)
  readonly #writes = new Lane(true)
  readonly #onLeave: (member: ThrottleMember) => void
  #drains = 0
  #left = false

  /** Use {@link ThrottleGroup.join}. @internal */
  constructor(turns: Turns, onLeave: (member: ThrottleMember) => void) {
    this.#turns = turns
    this.#onLeave = onLeave
  }

  /** Requests of this member that wait for their turn. */
  get waiting(): number {
    return this.#reads.waiters.length + this.#writes.waiters.length
  }

  /** True between {@link ThrottleMember.drainBegin} and its {@link ThrottleMember.drainEnd}. */
  get drained(): boolean {
    return this.#drains > 0
  }

  /** True after {@link ThrottleMember.leave}: nothing is limited any more. */
  get left(): boolean {
    return this.#left
  }

  /**
   * Passes a request without waiting, and counts it, when that is allowed now; otherwise false, and nothing is
   * counted. Always true when no limit applies to the direction.
   *
   * @throws RangeError unless `bytes` is a safe integer from 0 (where a limit applies)
   */
  tryPass(isWrite: boolean, bytes: number): boolean {
    if (this.#left) return true
    if (this.#drains === 0) return this.#turns.tryPass(isWrite ? this.#writes : this.#reads, bytes)
    this.#turns.account(isWrite, bytes)
    return true
  }

  /**
   * Waits until a request may go on, and counts it; fulfilled from the start when it may at once.
   *
   * Rejects with the signal's reason when that is aborted first, and then the request is not counted.
   */
  intercept(isWrite: boolean, bytes: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return Promise.reject(signal.reason)
    if (this.tryPass(isWrite, bytes)) return PASSED
    checkBytes(bytes)
    return this.#turns.wait(isWrite ? this.#writes : this.#reads, bytes, signal)
  }

  /**
   * Lifts the limits from this member: all its waiting requests go on at once, and later ones do not wait. They are
   * counted, so the other members wait for them. Calls nest.
   */
  drainBegin(): void {
    if (++this.#drains > 1) return
    this.#turns.releaseAll(this.#reads, true)
    this.#turns.releaseAll(this.#writes, true)
  }

  /**
   * Ends one {@link ThrottleMember.drainBegin}.
   *
   * @throws Error when there is none
   */
  drainEnd(): void {
    if (this.#drains === 0) throw new Error('drainEnd without drainBegin')
    this.#drains--
  }

  /** Leaves the group: waiting requests and all later ones go on at once, uncounted. A second call does nothing. */
  leave(): void {
    if (this.#left) return
    this.#left = true
    this.#turns.releaseAll(this.#reads, false)
    this.#turns.releaseAll(this.#writes, false)
    this.#onLeave(this)
  }
}
