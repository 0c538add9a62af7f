/**
 * The event loop and clock a node lives in. Everything that waits asks it, never the host's timers: a virtual
 * one runs a whole stack deterministically.
 *
 * @public
 */
export interface Clock {
  /** Monotonic time in milliseconds, fractional. */
  now(): number
  /** Resolves after `ms`; rejects with the signal's reason. */
  sleep(ms: number, signal?: AbortSignal, how?: SleepHow): Promise<void>
}

/** What a sleep means to others. @public */
export interface SleepHow {
  /**
   * Nobody waits for it: it does not keep the process alive, and a virtual clock does not move on for its sake alone.
   * Default false.
   */
  readonly background?: boolean
}

/** Timers and watchers move with the node to another event loop. @public */
export interface AioContextFacet {
  detach(): void
  attach(clock: Clock): void
}
