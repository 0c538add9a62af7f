import { SchedulerMisuse } from '../scheduler-misuse.ts'
import type { AioContext, Movable } from './aio-context.ts'
import { Job } from './event-loop.ts'

/**
 * A one-shot timer that can be armed again and again, and moved between contexts.
 *
 * @public
 */
export interface Timer extends Movable, Disposable {
  /** True from arming until the callback starts or `cancel`. */
  readonly pending: boolean
  /** When it expires on its context's clock; undefined when not pending or detached. */
  readonly deadline: number | undefined
  /**
   * Runs the callback once when the context's clock reaches `atMs`, never earlier and never inside this call. Arming a
   * pending timer replaces its deadline.
   *
   * Throws SchedulerMisuse `invalid` unless `atMs` is finite, and `detached` when it has no context, hence no clock.
   */
  arm(atMs: number): void
  /** Arms it `ms` from now; while detached, from the moment it is attached. `ms` is finite; less than 0 counts as 0. */
  armIn(ms: number): void
  /** Forgets the deadline; harmless when not pending. After it the callback does not run. */
  cancel(): void
  /** Leaves the context; a pending timer keeps the time that remained. Throws `detached` when it has no context. */
  detach(): void
  /** Joins a context; a pending timer expires after the time that remained. Throws `detached` when it has a context. */
  attach(context: AioContext): void
  /** `detach` and `attach` in one. */
  moveTo(context: AioContext): void
}

/** The one implementation of {@link Timer}: on any loop, by its jobs. @internal */
export class LoopTimer implements Timer {
  readonly #job: Job
  #context: AioContext | undefined
  /** While detached and pending: milliseconds left. */
  #remaining: number | undefined

  constructor(context: AioContext, callback: () => void, name: string | undefined) {
    const label = name === undefined ? 'timer (unnamed)' : `timer "${name}"`
    this.#context = context
    this.#job = new Job(label, callback, label)
  }

  get pending(): boolean {
    return this.#remaining !== undefined || this.#job.where !== 'idle'
  }

  get deadline(): number | undefined {
    return this.#job.where === 'idle' ? undefined : this.#job.deadline
  }

  arm(atMs: number): void {
    this.#assertFinite(atMs)
    if (this.#context === undefined) {
      throw new SchedulerMisuse('detached', `${this.#job.label} was armed for a time while it has no clock; use armIn`)
    }
    this.#context.loop.postAt(this.#job, atMs)
  }

  armIn(ms: number): void {
    this.#assertFinite(ms)
    const remaining = Math.max(ms, 0)
    if (this.#context === undefined) this.#remaining = remaining
    else this.arm(this.#context.now() + remaining)
  }

  cancel(): void {
    this.#remaining = undefined
    this.#context?.loop.cancel(this.#job)
  }

  detach(): void {
    const context = this.#context
    if (context === undefined) throw new SchedulerMisuse('detached', `${this.#job.label} was detached twice`)
    const deadline = this.deadline
    this.cancel()
    if (deadline !== undefined) this.#remaining = Math.max(deadline - context.now(), 0)
    this.#context = undefined
  }

  attach(context: AioContext): void {
    if (this.#context !== undefined) throw new SchedulerMisuse('detached', `${this.#job.label} was attached twice`)
    this.#context = context
    const remaining = this.#remaining
    this.#remaining = undefined
    if (remaining !== undefined) this.armIn(remaining)
  }

  moveTo(context: AioContext): void {
    this.detach()
    this.attach(context)
  }

  [Symbol.dispose](): void {
    this.cancel()
  }

  #assertFinite(ms: number): void {
    if (Number.isFinite(ms)) return
    throw new SchedulerMisuse('invalid', `${this.#job.label} cannot be armed for ${ms}`)
  }
}
