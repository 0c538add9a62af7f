import { SchedulerMisuse } from '../scheduler-misuse.ts'
import type { AioContext, Movable } from './aio-context.ts'
import type { BottomHalf } from './bottom-half.ts'
import type { Timer } from './timer.ts'

/**
 * The place of one component in a context, with all that has to move along when the component moves: its timers,
 * bottom halves and locks.
 *
 * While detached nothing of it runs: timers keep their remaining time and bottom halves their requests. Bring the
 * component to rest first; a wait for a lock that has begun ends in the context it began in.
 *
 * @public
 */
export class AioContextOwner {
  readonly #movables = new Set<Movable>()
  #context: AioContext | undefined

  constructor(context: AioContext) {
    this.#context = context
  }

  /** Where it lives. Throws SchedulerMisuse `detached` between `detach` and `attach`. */
  get context(): AioContext {
    if (this.#context === undefined) throw new SchedulerMisuse('detached', 'attached to no context')
    return this.#context
  }

  get attached(): boolean {
    return this.#context !== undefined
  }

  /** Makes a timer that moves along. */
  timer(callback: () => void, name?: string): Timer {
    return this.#remember(this.context.timer(callback, name))
  }

  /** Makes a bottom half that moves along. */
  bottomHalf(fn: () => void, name?: string): BottomHalf {
    return this.#remember(this.context.bottomHalf(fn, name))
  }

  /** Makes a lock, or anything else that is detached now, live here and move along. Returns it. */
  adopt<M extends Movable>(movable: M): M {
    if (this.#context !== undefined && !this.#movables.has(movable)) movable.attach(this.#context)
    return this.#remember(movable)
  }

  /** Lets something go; it stays where it is. */
  forget(movable: Movable): void {
    this.#movables.delete(movable)
  }

  /** Leaves the context with everything. Throws SchedulerMisuse `detached` when it has none. */
  detach(): void {
    if (this.#context === undefined) throw new SchedulerMisuse('detached', 'detached twice')
    this.#context = undefined
    for (const movable of this.#movables) movable.detach()
  }

  /** Joins a context with everything. Throws SchedulerMisuse `detached` when it has one. */
  attach(context: AioContext): void {
    if (this.#context !== undefined) throw new SchedulerMisuse('detached', 'attached twice')
    this.#context = context
    for (const movable of this.#movables) movable.attach(context)
  }

  /** `detach` and `attach` in one. Does nothing when it lives there already. */
  moveTo(context: AioContext): void {
    if (this.#context === context) return
    this.detach()
    this.attach(context)
  }

  #remember<M extends Movable>(movable: M): M {
    this.#movables.add(movable)
    return movable
  }
}
