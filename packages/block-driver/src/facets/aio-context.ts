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
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

/** Timers and watchers move with the node to another event loop. @public */
export interface AioContextFacet {
  detach(): void
  attach(clock: Clock): void
}
