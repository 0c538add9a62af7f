import type { Wait, WakeHook } from '../locks/wake-hook.ts'
import type { SeededRandom } from '../seeded-random.ts'
import { Job, type EventLoop } from './event-loop.ts'
import { JobHeap } from './job-heap.ts'

/**
 * A simulated event loop: whoever drives it takes one job at a time, drawn at random from all that could run.
 *
 * The clock stands still while anything can run, then jumps to the next deadline; all jobs due at one instant become
 * runnable together. Ends of lock waits and of external waits are jobs like any other.
 *
 * @internal
 */
export class VirtualLoop implements EventLoop, WakeHook {
  readonly wakes: WakeHook = this
  readonly #random: SeededRandom
  readonly #runnable: Job[] = []
  readonly #timed = new JobHeap()
  readonly #background = new JobHeap()
  readonly #waits = new Map<Wait, string>()
  #externals: ExternalWait[] = []
  #onExternal: (() => void) | undefined
  #now: number
  #actor = 'main'

  constructor(random: SeededRandom, startMs: number) {
    this.#random = random
    this.#now = startMs
  }

  now(): number {
    return this.#now
  }

  post(job: Job): void {
    if (job.where === 'soon') return
    this.cancel(job)
    job.owner ??= this.#actor
    this.#makeRunnable(job)
  }

  postAt(job: Job, atMs: number): void {
    this.cancel(job)
    job.owner ??= this.#actor
    this.#heapOf(job).push(job, atMs)
  }

  cancel(job: Job): void {
    if (job.where === 'timed') this.#heapOf(job).remove(job)
    else if (job.where === 'soon') this.#takeRunnable(job)
  }

  external<T>(promise: PromiseLike<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const wait: ExternalWait = { owner: this.#actor, job: undefined }
      const settleBy = (run: () => void): void => {
        wait.job = new Job('external', run, wait.owner)
        this.#onExternal?.()
      }
      this.#externals.push(wait)
      promise.then(
        (value) => settleBy(() => resolve(value)),
        (error: unknown) => settleBy(() => reject(error)),
      )
    })
  }

  blocked(wait: Wait): void {
    this.#waits.set(wait, this.#actor)
  }

  resume(wait: Wait): void {
    const owner = this.#waits.get(wait)
    this.#waits.delete(wait)
    this.#makeRunnable(new Job(`wake from ${wait.label}`, () => wait.settle(), owner))
  }

  /** The waits that have not ended: who waits, and for what. */
  *waits(): Generator<readonly [owner: string, label: string]> {
    for (const [wait, owner] of this.#waits) yield [owner, wait.label]
  }

  /**
   * Waits until all external promises have settled and makes their continuations runnable, in the order in which they
   * were registered: how fast the outside was leaves no trace.
   */
  async settleExternals(): Promise<void> {
    while (this.#externals.some((wait) => wait.job === undefined)) {
      await new Promise<void>((resolve) => {
        this.#onExternal = resolve
      })
    }
    this.#onExternal = undefined
    for (const wait of this.#externals) this.#makeRunnable(wait.job!)
    this.#externals = []
  }

  /**
   * Takes the next job out, moving the clock if nothing is runnable now; undefined when nothing can ever run. Background
   * jobs run in time as the clock passes, but it does not move for them alone.
   */
  take(): Job | undefined {
    const first = this.#timed.first
    if (this.#runnable.length === 0 && first !== undefined) {
      const next = Math.min(first.deadline, this.#background.first?.deadline ?? Infinity)
      this.#now = Math.max(this.#now, next)
    }
    for (const heap of [this.#timed, this.#background]) {
      for (let due = heap.popDue(this.#now); due !== undefined; due = heap.popDue(this.#now)) this.#makeRunnable(due)
    }
    if (this.#runnable.length === 0) return undefined
    const job = this.#runnable[this.#random.below(this.#runnable.length)]!
    this.#takeRunnable(job)
    return job
  }

  /** Runs a job that was taken. What it starts and waits for is on behalf of the job's owner. */
  run(job: Job): void {
    this.#actor = job.owner ?? job.label
    job.run()
  }

  #heapOf(job: Job): JobHeap {
    return job.background ? this.#background : this.#timed
  }

  #makeRunnable(job: Job): void {
    job.where = 'soon'
    job.slot = this.#runnable.length
    this.#runnable.push(job)
  }

  #takeRunnable(job: Job): void {
    const last = this.#runnable.pop()!
    if (last !== job) {
      last.slot = job.slot
      this.#runnable[job.slot] = last
    }
    job.slot = -1
    job.where = 'idle'
  }
}

/** A promise of the outside world; `job` continues its waiter and is there once it settled. */
interface ExternalWait {
  readonly owner: string
  job: Job | undefined
}
