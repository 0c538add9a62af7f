import { SchedulerMisuse } from '../scheduler-misuse.ts'
import type { AioContext, Movable } from './aio-context.ts'
import { Job } from './event-loop.ts'

/**
 * A function that is asked for many times and runs once, soon, outside of the caller's stack.
 *
 * @public
 */
export interface BottomHalf extends Movable, Disposable {
  /** True from `schedule` until the function starts or `cancel`. */
  readonly pending: boolean
  /** Asks for a run, never inside this call; does nothing when pending. The function may schedule itself again. */
  schedule(): void
  /** Takes the request back; harmless when not pending. After it the function does not run. */
  cancel(): void
  /** Leaves the context; a request made before or meanwhile is kept. Throws `detached` when it has no context. */
  detach(): void
  /** Joins a context, where a kept request runs soon. Throws `detached` when it has a context. */
  attach(context: AioContext): void
  /** `detach` and `attach` in one. */
  moveTo(context: AioContext): void
}

/** The one implementation of {@link BottomHalf}: on any loop, by its jobs. @internal */
export class LoopBottomHalf implements BottomHalf {
  readonly #job: Job
  #context: AioContext | undefined
  #kept = false

  constructor(context: AioContext, fn: () => void, name: string | undefined) {
    const label = name === undefined ? 'bottom half (unnamed)' : `bottom half "${name}"`
    this.#context = context
    this.#job = new Job(label, fn, label)
  }

  get pending(): boolean {
    return this.#kept || this.#job.where !== 'idle'
  }

  schedule(): void {
    if (this.#context === undefined) this.#kept = true
    else this.#context.loop.post(this.#job)
  }

  cancel(): void {
    this.#kept = false
    this.#context?.loop.cancel(this.#job)
  }

  detach(): void {
    if (this.#context === undefined) throw new SchedulerMisuse('detached', `${this.#job.label} was detached twice`)
    const pending = this.pending
    this.cancel()
    this.#kept = pending
    this.#context = undefined
  }

  attach(context: AioContext): void {
    if (this.#context !== undefined) throw new SchedulerMisuse('detached', `${this.#job.label} was attached twice`)
    this.#context = context
    if (!this.#kept) return
    this.#kept = false
    this.schedule()
  }

  moveTo(context: AioContext): void {
    this.detach()
    this.attach(context)
  }

  [Symbol.dispose](): void {
    this.cancel()
  }
}
