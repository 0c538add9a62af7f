import type { WakeHook } from '../locks/wake-hook.ts'
import { SchedulerMisuse } from '../scheduler-misuse.ts'
import type { AioContext, SleepHow } from './aio-context.ts'
import { LoopBottomHalf, type BottomHalf } from './bottom-half.ts'
import { Job, type EventLoop } from './event-loop.ts'
import { LoopTimer, type Timer } from './timer.ts'

/** What a spawned task is known by while it runs. @internal */
export interface TrackedTask {
  readonly name: string
}

/** An {@link AioContext} on any {@link EventLoop}. @internal */
export class LoopContext implements AioContext {
  readonly name: string
  readonly loop: EventLoop
  readonly #tasks = new Set<TrackedTask>()

  constructor(name: string, loop: EventLoop) {
    this.name = name
    this.loop = loop
  }

  get wakes(): WakeHook | undefined {
    return this.loop.wakes
  }

  get tasks(): readonly string[] {
    return Array.from(this.#tasks, (task) => task.name)
  }

  now(): number {
    return this.loop.now()
  }

  schedule(fn: () => void): void {
    this.loop.post(new Job('bottom half (once)', fn))
  }

  bottomHalf(fn: () => void, name?: string): BottomHalf {
    return new LoopBottomHalf(this, fn, name)
  }

  timer(callback: () => void, name?: string): Timer {
    return new LoopTimer(this, callback, name)
  }

  sleep(ms: number, signal?: AbortSignal, how?: SleepHow): Promise<void> {
    if (!Number.isFinite(ms) || ms < 0) {
      return Promise.reject(new SchedulerMisuse('invalid', `sleep takes a finite number of milliseconds, not ${ms}`))
    }
    if (signal?.aborted === true) return Promise.reject(signal.reason)
    return new Promise((resolve, reject) => {
      const job = new Job('sleep', () => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      })
      job.background = how?.background ?? false
      const onAbort = (): void => {
        this.loop.cancel(job)
        reject(signal!.reason)
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.loop.postAt(job, this.loop.now() + ms)
    })
  }

  yield(): Promise<void> {
    return new Promise((resolve) => this.loop.post(new Job('yield', resolve)))
  }

  spawn<T>(name: string, fn: () => T | PromiseLike<T>): Promise<T> {
    const task: TrackedTask = { name }
    this.#tasks.add(task)
    const started = new Promise<T>((resolve) => {
      const label = `task "${name}"`
      this.loop.post(new Job(label, () => resolve((async () => fn())()), label))
    })
    return started.finally(() => this.#tasks.delete(task))
  }

  external<T>(promise: PromiseLike<T>): Promise<T> {
    return this.loop.external(promise)
  }
}
