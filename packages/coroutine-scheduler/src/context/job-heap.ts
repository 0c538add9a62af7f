import type { Job } from './event-loop.ts'

/** Timed jobs by deadline, those with equal deadlines in the order they were pushed: a binary heap. @internal */
export class JobHeap {
  readonly #jobs: Job[] = []
  #pushed = 0

  get size(): number {
    return this.#jobs.length
  }

  /** The job with the earliest deadline. */
  get first(): Job | undefined {
    return this.#jobs[0]
  }

  push(job: Job, deadline: number): void {
    job.where = 'timed'
    job.deadline = deadline
    job.order = this.#pushed++
    this.#jobs.push(job)
    this.#siftUp(job, this.#jobs.length - 1)
  }

  /** Removes the first job if it is due at `now`; it is idle then. */
  popDue(now: number): Job | undefined {
    const first = this.#jobs[0]
    if (first === undefined || first.deadline > now) return undefined
    this.remove(first)
    return first
  }

  /** The job must be in this heap; it is idle then. */
  remove(job: Job): void {
    const slot = job.slot
    const last = this.#jobs.pop()!
    if (last !== job) {
      this.#siftUp(last, slot)
      this.#siftDown(last, last.slot)
    }
    job.slot = -1
    job.where = 'idle'
  }

  #siftUp(job: Job, from: number): void {
    let slot = from
    while (slot > 0) {
      const parentSlot = (slot - 1) >> 1
      const parent = this.#jobs[parentSlot]!
      if (!isBefore(job, parent)) break
      this.#place(parent, slot)
      slot = parentSlot
    }
    this.#place(job, slot)
  }

  #siftDown(job: Job, from: number): void {
    let slot = from
    for (;;) {
      let childSlot = 2 * slot + 1
      if (childSlot >= this.#jobs.length) break
      if (childSlot + 1 < this.#jobs.length && isBefore(this.#jobs[childSlot + 1]!, this.#jobs[childSlot]!)) childSlot++
      const child = this.#jobs[childSlot]!
      if (!isBefore(child, job)) break
      this.#place(child, slot)
      slot = childSlot
    }
    this.#place(job, slot)
  }

  #place(job: Job, slot: number): void {
    this.#jobs[slot] = job
    job.slot = slot
  }
}

function isBefore(a: Job, b: Job): boolean {
  return a.deadline < b.deadline || (a.deadline === b.deadline && a.order < b.order)
}
