import type { HostClock } from './host-clock.ts'
import { JobHeap } from './job-heap.ts'

/** The longest delay that hosts honour; longer deadlines are reached in several hops. */
const LONGEST_TIMEOUT = 0x7fff_ffff

/**
 * Timed jobs, and one host timeout that stands for the earliest deadline among them.
 *
 * @internal
 */
export class DeadlineWatch {
  readonly jobs = new JobHeap()
  readonly #host: HostClock
  readonly #background: boolean
  readonly #due: () => void
  #cancelTimeout: (() => void) | undefined
  #timeoutAt = Infinity

  /**
   * @param background - the timeout does not keep the process alive
   * @param due - called, perhaps again and again, while the first job is due
   */
  constructor(host: HostClock, background: boolean, due: () => void) {
    this.#host = host
    this.#background = background
    this.#due = due
  }

  /** Keeps exactly one host timeout while something is timed, early enough, and none otherwise: it keeps Node alive. */
  watch(): void {
    const { first } = this.jobs
    if (first === undefined) {
      this.#dropTimeout()
      return
    }
    if (this.#timeoutAt <= first.deadline) return
    const delay = first.deadline - this.#host.now()
    if (delay <= 0) {
      this.#due()
      return
    }
    this.#dropTimeout()
    this.#timeoutAt = first.deadline
    // Rounded up, because hosts count whole milliseconds and would otherwise call back early in vain.
    this.#cancelTimeout = this.#host.timeout(this.#onTimeout, Math.min(Math.ceil(delay), LONGEST_TIMEOUT), this.#background)
  }

  readonly #onTimeout = (): void => {
    this.#cancelTimeout = undefined
    this.#timeoutAt = Infinity
    this.watch()
  }

  #dropTimeout(): void {
    this.#cancelTimeout?.()
    this.#cancelTimeout = undefined
    this.#timeoutAt = Infinity
  }
}
