// Real time, the only place of the kit that knows it: a driver that hangs must not hang the suite. Everything else
// runs on promises and on a virtual clock.
import { failure } from './failure.ts'

/** Waits for `work`, but not for ever. Rejects if it takes too long. @public */
export type Watchdog = <T>(work: Promise<T>, what: string) => Promise<T>

/** A watchdog on the host's timers. `ms` is real time for one request, open or close. @public */
export function realWatchdog(ms = 3000): Watchdog {
  return (work, what) => new Promise((resolve, reject) => {
    const timer = globalThis.setTimeout(() => reject(failure(`${what} has not settled after ${ms} ms`)), ms)
    work.then(
      (value) => {
        globalThis.clearTimeout(timer)
        resolve(value)
      },
      (error: unknown) => {
        globalThis.clearTimeout(timer)
        reject(error)
      },
    )
  })
}

/** Resolves when all work that is ready has run: microtasks and timers of 0 ms. @internal */
export function macrotask(): Promise<void> {
  return new Promise((resolve) => {
    globalThis.setTimeout(resolve, 0)
  })
}
