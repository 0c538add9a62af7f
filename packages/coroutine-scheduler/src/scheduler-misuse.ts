/**
 * What the caller did wrong, for control flow and tests.
 *
 * - `not-held`: released, upgraded or handed over a guard that holds nothing (typically: released twice)
 * - `not-owner`: used a guard with a lock that did not issue it
 * - `already-held`: took a lock again with a guard that holds it or already waits for it
 * - `wrong-mode`: upgraded a writer or downgraded a reader
 * - `busy`: destroyed a lock while it was held or waited for
 * - `destroyed`: used a lock after `destroy()`
 * - `invalid`: an argument that can never work
 * - `detached`: needed a clock while attached to no context, or attached twice
 * - `running`: started `run()` of a virtual context inside itself
 * - `deadlock`: nothing in a virtual context can ever run again
 * - `step-limit`: a virtual context took more steps than allowed; something probably loops
 *
 * @public
 */
export type SchedulerMisuseCode =
  | 'not-held'
  | 'not-owner'
  | 'already-held'
  | 'wrong-mode'
  | 'busy'
  | 'destroyed'
  | 'invalid'
  | 'detached'
  | 'running'
  | 'deadlock'
  | 'step-limit'

const BRAND = Symbol.for('blockloom.SchedulerMisuse')

/**
 * A mistake of the program, not of its environment: a lock released twice, destroyed in use, a deadlock.
 *
 * Test with {@link isSchedulerMisuse}: a second copy of this package makes `instanceof` lie.
 *
 * @public
 */
export class SchedulerMisuse extends Error {
  override readonly name = 'SchedulerMisuse'
  readonly code: SchedulerMisuseCode
  /** For `deadlock` and `step-limit`: one line for each task and wait that has not ended. Otherwise empty. */
  readonly waiting: readonly string[]

  constructor(code: SchedulerMisuseCode, message: string, waiting: readonly string[] = []) {
    super(message)
    this.code = code
    this.waiting = waiting
    Object.defineProperty(this, BRAND, { value: true })
  }
}

/** True for a SchedulerMisuse of any copy of this package; with `code`, only for that code. @public */
export function isSchedulerMisuse(error: unknown, code?: SchedulerMisuseCode): error is SchedulerMisuse {
  if (typeof error !== 'object' || error === null || !(BRAND in error)) return false
  return code === undefined || (error as unknown as SchedulerMisuse).code === code
}
