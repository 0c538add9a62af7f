import { Job, type EventLoop } from './event-loop.ts'
import type { HostClock } from './host-clock.ts'
import { JobHeap } from './job-heap.ts'

/** The longest delay that hosts honour; longer deadlines are reached in several hops. */
const LONGEST_TIMEOUT = 0x7fff_ffff

/**
 * The host's event loop: jobs run once per turn, in order, and one host timeout stands for the earliest deadline.
 *
 * What is posted during a turn runs in the next one, so I/O gets its share between any two generations of jobs.
 *
 * @internal
 */
export class RealLoop implements EventLoop {
  readonly wakes = undefined
  readonly #host: HostClock
  readonly #timed = new JobHeap()
  #soon = new Set<Job>()
  #current = new Set<Job>()
  #turnRequested = false
  #cancelTimeout: (() => void) | undefined
  #timeoutAt = Infinity

  constructor(host: HostClock) {
    this.#host = host
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
    this.#timed.push(job, atMs)
    this.#watchDeadlines()
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
      this.#timed.remove(job)
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
    for (let due = this.#timed.popDue(now); due !== undefined; due = this.#timed.popDue(now)) {
      due.where = 'soon'
      jobs.add(due)
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

  readonly #onTimeout = (): void => {
    this.#cancelTimeout = undefined
    this.#timeoutAt = Infinity
    this.#watchDeadlines()
  }

  /** Keeps exactly one host timeout while something is timed, early enough, and none otherwise: it keeps Node alive. */
  #watchDeadlines(): void {
    const first = this.#timed.first
    if (first === undefined) {
      this.#dropTimeout()
      return
    }
    if (this.#timeoutAt <= first.deadline) return
    const delay = first.deadline - this.#host.now()
    if (delay <= 0) {
      this.#requestTurn()
      return
    }
    this.#dropTimeout()
    this.#timeoutAt = first.deadline
    // Rounded up, because hosts count whole milliseconds and would otherwise call back early in vain.
    this.#cancelTimeout = this.#host.timeout(this.#onTimeout, Math.min(Math.ceil(delay), LONGEST_TIMEOUT))
  }

  #dropTimeout(): void {
    this.#cancelTimeout?.()
    this.#cancelTimeout = undefined
    this.#timeoutAt = Infinity
  }
}
