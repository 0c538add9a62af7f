import type { WakeHook } from '../locks/wake-hook.ts'

/**
 * Something a loop runs once: a bottom half, a timer that expires, a task that starts.
 *
 * It is in at most one loop at a time; a loop owns the fields other than `label` and `run` while it is queued.
 *
 * @public
 */
export class Job {
  /** What it is, for traces and reports. */
  readonly label: string
  /** What it does. A throw is reported by the loop and does not stop other jobs. */
  run: () => void
  /** Nobody waits for it: while timed it does not keep the process alive, nor move a virtual clock. Constant while queued. */
  background = false
  /** On whose behalf it runs, in reports; a virtual loop fills in the task that posted it. */
  owner: string | undefined
  /** Where it waits: nowhere, to run soon, or for its deadline. */
  where: 'idle' | 'soon' | 'timed' = 'idle'
  /** While `timed`: when to run, in milliseconds of the loop's clock. */
  deadline = 0
  /** While `timed`: breaks ties between equal deadlines. */
  order = 0
  /** Its index in the array that holds it. */
  slot = -1

  constructor(label: string, run: () => void, owner?: string) {
    this.label = label
    this.run = run
    this.owner = owner
  }
}

/**
 * The mechanism under an `AioContext`: a clock, jobs to run soon, and jobs to run at a time.
 *
 * Implement it to put contexts on another event loop. Users of contexts do not need it.
 *
 * @public
 */
export interface EventLoop {
  /** Milliseconds since some fixed point, fractional, never decreasing. */
  now(): number
  /** Runs the job soon, never inside this call. Does nothing if it is queued to run soon already. */
  post(job: Job): void
  /** Runs the job once at `atMs` or later, never inside this call. Replaces an earlier time or post. */
  postAt(job: Job, atMs: number): void
  /** Takes the job out; does nothing when it is idle. */
  cancel(job: Job): void
  /** Marks a wait for the outside world and passes its outcome on. */
  external<T>(promise: PromiseLike<T>): Promise<T>
  /** How waits for locks continue; undefined: at once. */
  readonly wakes: WakeHook | undefined
}
