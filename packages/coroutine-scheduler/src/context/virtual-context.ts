import { SchedulerMisuse } from '../scheduler-misuse.ts'
import { createRandom, type SeededRandom } from '../seeded-random.ts'
import type { AioContext } from './aio-context.ts'
import { Job } from './event-loop.ts'
import { createHostClock } from './host-clock.ts'
import { LoopContext } from './loop-context.ts'
import { VirtualLoop } from './virtual-loop.ts'

/** Options of {@link createVirtualContext}. @public */
export interface VirtualContextOptions {
  /** A safe integer that decides every order. Print it when a test fails. */
  readonly seed: number
  /** Default: `virtual`. */
  readonly name?: string
  /** What the clock shows at first, in milliseconds. Default: 0. */
  readonly startMs?: number
  /** Keep `trace`. Default: false. */
  readonly trace?: boolean
  /** How many steps one `run` may take before it fails with `step-limit`. Default: 5 million. */
  readonly stepLimit?: number
}

/** One step of a simulation. @public */
export interface TraceStep {
  /** The clock, in milliseconds. */
  readonly at: number
  /** On whose behalf: `main`, or a task, timer or bottom half by its label. */
  readonly owner: string
  /** What happened: `sleep`, `yield`, `wake from mutex "m"`, `timer "t"`. */
  readonly what: string
}

/**
 * A context for simulations: its clock moves only when nothing can run, and a seed decides the order in which tasks,
 * bottom halves, timers due at the same instant and ends of waits take their turns.
 *
 * The same seed and program give the same run, step by step. It moves only inside {@link VirtualContext.run}.
 *
 * @public
 */
export interface VirtualContext extends AioContext {
  /** The seed it was made from. */
  readonly seed: number
  /** How many steps were taken so far. */
  readonly steps: number
  /** The steps taken so far, with the option `trace`; otherwise empty. */
  readonly trace: readonly TraceStep[]
  /**
   * Runs `fn` and everything in this context until `fn`'s promise settles, and settles like it. Tasks, timers and jobs
   * that are left over stay, and go on in a later `run`.
   *
   * Rejects with what a bottom half or timer callback throws, and with SchedulerMisuse: `deadlock` when `fn` waits and
   * nothing can ever run again (the message and `waiting` name who waits for what), `step-limit`, `running` when called
   * inside itself.
   */
  run<T>(fn: () => T | PromiseLike<T>): Promise<T>
  /** Makes another context with the same clock, driven together with this one: a second event loop to move to. */
  sibling(name: string): AioContext
}

/** Makes a {@link VirtualContext}. @public */
export function createVirtualContext(options: VirtualContextOptions): VirtualContext {
  return new SimulatedContext(options, createRandom(options.seed))
}

class SimulatedContext extends LoopContext implements VirtualContext {
  readonly seed: number
  readonly trace: TraceStep[] = []
  steps = 0
  readonly #virtual: VirtualLoop
  readonly #contexts: AioContext[] = [this]
  readonly #tracing: boolean
  readonly #stepLimit: number
  readonly #host = createHostClock()
  #running = false

  constructor(options: VirtualContextOptions, random: SeededRandom) {
    const loop = new VirtualLoop(random, options.startMs ?? 0)
    super(options.name ?? 'virtual', loop)
    this.#virtual = loop
    this.seed = options.seed
    this.#tracing = options.trace ?? false
    this.#stepLimit = options.stepLimit ?? 5_000_000
  }

  sibling(name: string): AioContext {
    const context = new LoopContext(name, this.#virtual)
    this.#contexts.push(context)
    return context
  }

  async run<T>(fn: () => T | PromiseLike<T>): Promise<T> {
    if (this.#running) throw new SchedulerMisuse('running', `${this.name} is running already`)
    this.#running = true
    try {
      let outcome: Promise<T> | undefined
      const start = async (): Promise<T> => fn()
      const main = (): void => {
        const result = start()
        const settled = (): void => {
          outcome = result
        }
        result.then(settled, settled)
      }
      this.#virtual.post(new Job('main', main, 'main'))
      const limit = this.steps + this.#stepLimit
      while (outcome === undefined) {
        if (this.steps >= limit) throw this.#stepLimitReached()
        await this.#step()
      }
      return await outcome
    } finally {
      this.#running = false
    }
  }

  async #step(): Promise<void> {
    await this.#virtual.settleExternals()
    const job = this.#virtual.take()
    if (job === undefined) throw this.#deadlock()
    this.steps++
    if (this.#tracing) this.trace.push({ at: this.now(), owner: job.owner ?? job.label, what: job.label })
    this.#virtual.run(job)
    // A host turn comes after all promise jobs: whatever the step set off has come to rest in a wait.
    await new Promise<void>((resolve) => this.#host.turn(resolve))
  }

  #deadlock(): SchedulerMisuse {
    const advice = 'A wait for the outside world must be marked with external().'
    return this.#report('deadlock', 'deadlock: nothing can run and no timer is armed', advice)
  }

  #stepLimitReached(): SchedulerMisuse {
    const advice = 'Something loops, or the simulation needs a larger stepLimit.'
    return this.#report('step-limit', `not finished after ${this.#stepLimit} steps`, advice)
  }

  #report(code: 'deadlock' | 'step-limit', what: string, advice: string): SchedulerMisuse {
    const waiting = this.#whoWaits()
    const headline = `${this.name} at ${this.now()} ms, seed ${this.seed}: ${what}`
    return new SchedulerMisuse(code, [headline, ...waiting.map((line) => `  ${line}`), advice].join('\n'), waiting)
  }

  #whoWaits(): string[] {
    const lines: string[] = []
    const explained = new Set<string>()
    for (const [owner, label] of this.#virtual.waits()) {
      lines.push(`${owner} waits for ${label}`)
      explained.add(owner)
    }
    for (const owner of this.#unfinished()) {
      if (!explained.has(owner)) lines.push(`${owner} has not ended, and waits for nothing this context knows`)
    }
    return lines
  }

  #unfinished(): string[] {
    return ['main', ...this.#contexts.flatMap((context) => context.tasks.map((name) => `task "${name}"`))]
  }
}
