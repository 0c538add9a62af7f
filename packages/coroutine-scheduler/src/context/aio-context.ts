import type { WakeHook } from '../locks/wake-hook.ts'
import type { BottomHalf } from './bottom-half.ts'
import type { EventLoop } from './event-loop.ts'
import type { Timer } from './timer.ts'

/**
 * The event loop and clock that a part of a program lives in.
 *
 * Code that sleeps, times out or defers asks its context and never the host, so that it runs unchanged on the real
 * clock and in a deterministic simulation. Made by `createRealContext` and `createVirtualContext`.
 *
 * Times are in milliseconds, fractional, on a clock that never goes back and whose zero means nothing.
 *
 * @public
 */
export interface AioContext {
  readonly name: string

  /** The time on this context's clock, in milliseconds. */
  now(): number

  /**
   * Runs `fn` once, soon, never inside this call. In the real context that is the next turn of the host's event loop:
   * what a bottom half schedules runs a turn later, so a chain without end leaves room for I/O.
   */
  schedule(fn: () => void): void

  /** Makes a bottom half: a function that is scheduled many times and runs once for all of them. */
  bottomHalf(fn: () => void, name?: string): BottomHalf

  /** Makes a timer. It costs nothing until it is armed, and keeps the process alive only while it is armed. */
  timer(callback: () => void, name?: string): Timer

  /**
   * Waits at least `ms` milliseconds, a finite number of at least 0.
   *
   * Rejects with `signal.reason`, or with SchedulerMisuse `invalid`.
   */
  sleep(ms: number, signal?: AbortSignal, how?: SleepHow): Promise<void>

  /** Lets everything else that can run have a turn, I/O included. */
  yield(): Promise<void>

  /**
   * Starts a task that is known by name until it ends; it starts soon, never inside this call. The promise is the
   * task's own outcome: who ignores it leaves a rejection unhandled.
   */
  spawn<T>(name: string, fn: () => T | PromiseLike<T>): Promise<T>

  /** The names of the tasks that were spawned and have not ended, in order of `spawn`. */
  readonly tasks: readonly string[]

  /**
   * Passes a promise on, marked as a wait for the outside world: a file, a socket, a worker. A virtual context does
   * not move its clock, and does not report a deadlock, before it settles.
   *
   * The promise must settle without help from this context: a virtual context takes no step while it is pending.
   */
  external<T>(promise: PromiseLike<T>): Promise<T>

  /** The mechanism underneath, for those who write timers, locks or contexts of their own. */
  readonly loop: EventLoop

  /** How waits for locks of this context continue; undefined: at once. */
  readonly wakes: WakeHook | undefined
}

/** What a sleep means to others. @public */
export interface SleepHow {
  /**
   * Nobody waits for it: it does not keep the process alive, and a virtual clock does not move on for its sake alone.
   * Default false.
   */
  readonly background?: boolean
}

/**
 * Something that belongs to a context and can be moved to another: a timer, a bottom half, a lock.
 *
 * @public
 */
export interface Movable {
  /** Leaves the context. What is pending is kept, but does not run. */
  detach(): void
  /** Joins a context and goes on there. */
  attach(context: AioContext): void
}
