import { DeadlineWatch } from './deadline-watch.ts'
import { Job, type EventLoop } from './event-loop.ts'
import type { HostClock } from './host-clock.ts'

/**
 * The host's event loop: jobs run once per turn, in order, and one host timeout stands for the earliest deadline, and one for
 * the earliest in the background.
 *
 * What is posted during a turn runs in the next one, so I/O gets its share between any two generations of jobs.
 *
 * @internal
 */
export class RealLoop implements EventLoop {
  readonly wakes = undefined
  readonly #host: HostClock
  readonly #timed: DeadlineWatch
  readonly #background: DeadlineWatch
  #soon = new Set<Job>()
  #current = new Set<Job>()
  #turnRequested = false

  constructor(host: HostClock) {
    this.#host = host
    this.#timed = new DeadlineWatch(host, false, () => this.#requestTurn())
    this.#background = new DeadlineWatch(host, true, () => this.#requestTurn())
  }

  now(): number {
    return this.#host.now()
  }

  post(job: Job): void {
    if (job.where === 'soon') return
    this.cancel(job)
    job.where = 'soon'
    this.#soon.add(job)
    this.#requestTurn()
  }

  postAt(job: Job, atMs: number): void {
    if (job.where !== 'idle') this.#takeOut(job)
    const watch = this.#watchOf(job)
    watch.jobs.push(job, atMs)
    watch.watch()
  }

  cancel(job: Job): void {
    if (job.where === 'idle') return
    this.#takeOut(job)
    this.#watchDeadlines()
  }

  external<T>(promise: PromiseLike<T>): Promise<T> {
    return Promise.resolve(promise)
  }

  #takeOut(job: Job): void {
    if (job.where === 'timed') {
      this.#watchOf(job).jobs.remove(job)
    } else {
      job.where = 'idle'
      if (!this.#soon.delete(job)) this.#current.delete(job)
    }
  }

  #requestTurn(): void {
    if (this.#turnRequested) return
    this.#turnRequested = true
    this.#host.turn(this.#onTurn)
  }

  readonly #onTurn = (): void => {
    this.#turnRequested = false
    const jobs = this.#soon
    this.#soon = this.#current
    this.#current = jobs
    const now = this.#host.now()
    for (const { jobs: timed } of [this.#timed, this.#background]) {
      for (let due = timed.popDue(now); due !== undefined; due = timed.popDue(now)) {
        due.where = 'soon'
        jobs.add(due)
      }
    }
    // A job that is cancelled by an earlier one leaves the set before its turn comes.
    for (const job of jobs) {
      jobs.delete(job)
      job.where = 'idle'
      try {
        job.run()
      } catch (error) {
        this.#host.report(error)
      }
    }
    this.#watchDeadlines()
  }

  #watchDeadlines(): void {
    this.#timed.watch()
    this.#background.watch()
  }

  #watchOf(job: Job): DeadlineWatch {
    return job.background ? this.#background : this.#timed
  }
}
