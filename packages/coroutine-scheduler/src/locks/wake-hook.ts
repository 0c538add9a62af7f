/** One wait for a lock or queue, as a context sees it. @public */
export interface Wait {
  /** What is waited for, for a person: `mutex "l2 tables"`. */
  readonly label: string
  /** Lets the waiter continue (granted, or failed). Called once, by the hook that got it in `resume`. */
  settle(): void
}

/**
 * How a context takes part in waits: it decides in which turn a waiter continues whose wait is over.
 *
 * Who gets a lock is decided by the lock, in order of arrival, before `resume` is called. The hook only chooses the
 * moment at which the waiter sees it. That is how a virtual context draws the order of continuations from its seed.
 *
 * @public
 */
export interface WakeHook {
  /** A wait begins. */
  blocked(wait: Wait): void
  /** The wait is over: call `wait.settle()` exactly once, now or in a later turn. */
  resume(wait: Wait): void
}

/** Where locks find their hook. Every `AioContext` is one; the real context has no hook and wakes at once. @public */
export interface WakeSource {
  readonly wakes: WakeHook | undefined
}

/** What every lock and queue can be given. @public */
export interface LockOptions {
  /** Appears in messages: misuse, and the deadlock report of a virtual context. */
  readonly name?: string
  /** The context whose turns the waiters continue in. Needed for a simulation to be able to reorder them. */
  readonly context?: WakeSource
}
