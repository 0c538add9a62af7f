/**
 * The right to be inside a lock, from the grant to the release.
 *
 * With `using guard = await lock.acquire()` it is released at the end of the block, also when the block throws.
 *
 * @public
 */
export interface LockGuard extends Disposable {
  /** True from the grant until the release. */
  readonly held: boolean
  /** Releases the lock and lets the next waiter in. Throws SchedulerMisuse `not-held` when it holds nothing. */
  release(): void
  /** Releases the lock if it is held; harmless after `release()`. */
  [Symbol.dispose](): void
}
