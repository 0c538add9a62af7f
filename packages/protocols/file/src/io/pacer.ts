import type { Clock } from '@blockloom/block-driver'

/** When calls count as blocking, in milliseconds. @internal */
export interface Pace {
  /** A call that takes longer blocked, or this thread was preempted. */
  readonly slow: number
  /** So much longer for each MiB: several times what copying takes, as on a host that has too much to do. */
  readonly slowPerMiB: number
  /** So much slowness is taken for preemption, which happens to quick calls too. */
  readonly tolerance: number
}

/** Writes are buffered by the host: those that block wait for a device to catch up, for long. @internal */
export const WRITE_PACE: Pace = { slow: 1, slowPerMiB: 2, tolerance: 20 }
/** Reads of what is not cached wait for a device, many times faster if they wait together. @internal */
export const READ_PACE: Pace = { slow: 0.1, slowPerMiB: 0, tolerance: 1 }

const MIB = 1024 * 1024

/** What one quick call forgives. */
const FORGIVEN = 0.02
/** The pause after a slow call, in its lengths: the event loop is blocked for a fifth of the time at most. */
const PAUSE_FACTOR = 4
const SHORTEST_PAUSE = 5
const LONGEST_PAUSE = 1000

/**
 * Decides whether short calls are made synchronously: they are while they are quick. When they block, calls go to
 * other threads for a while.
 *
 * @internal
 */
export class Pacer {
  clock: Clock
  readonly #pace: Pace
  #slowness = 0
  #until = -Infinity

  constructor(pace: Pace, clock: Clock) {
    this.#pace = pace
    this.clock = clock
  }

  /**
   * Calls back at once if calls are quick now.
   *
   * @param bytes - that the call copies
   * @returns `undefined`: it was not called, use another thread
   */
  attempt(call: () => number, bytes: number): number | undefined {
    const started = this.clock.now()
    if (started < this.#until) return undefined
    try {
      return call()
    } finally {
      this.#took(bytes, started, this.clock.now())
    }
  }

  #took(bytes: number, started: number, ended: number): void {
    const { slow, slowPerMiB, tolerance } = this.#pace
    const elapsed = ended - started
    if (elapsed <= slow + (bytes / MIB) * slowPerMiB) {
      if (this.#slowness > 0) this.#slowness = Math.max(0, this.#slowness - FORGIVEN)
      return
    }
    this.#slowness += elapsed
    if (this.#slowness <= tolerance) return
    // One more slow call, and there is another pause.
    this.#slowness = tolerance
    this.#until = ended + Math.min(Math.max(elapsed * PAUSE_FACTOR, SHORTEST_PAUSE), LONGEST_PAUSE)
  }
}
