/**
 * The time that a throttle group lives in: the real one, or a virtual one in tests. An AioContext fits as it is.
 *
 * @public
 */
export interface ThrottleClock {
  /** Milliseconds since any fixed moment, fractions included; never goes back. */
  now(): number
  /**
   * Calls `wake` once when `now()` has reached `atMs`; never before this call has returned. Early or late is
   * tolerated: the group looks at `now()` again. `atMs` is at most 2^30 ms ahead.
   *
   * @returns cancels the call; does nothing once it has happened
   */
  wakeAt(atMs: number, wake: () => void): () => void
}
