import type { Clock, SleepHow } from '@blockloom/block-driver'
import { macrotask } from '../watchdog.ts'

interface Sleeper {
  readonly due: number
  readonly background: boolean
  readonly wake: () => void
}

/**
 * Time that passes only when everybody sleeps: a driver's waits take no real time. It does not pass for sleeps in the
 * background alone.
 *
 * @internal
 */
export class VirtualClock implements Clock {
  #now = 1000
  #sleepers: Sleeper[] = []
  #ticking = false

  now(): number {
    return this.#now
  }

  /** Sleeps that nobody has woken or aborted. */
  get pending(): number {
    return this.#sleepers.length
  }

  sleep(ms: number, signal?: AbortSignal, how?: SleepHow): Promise<void> {
    if (signal?.aborted) return Promise.reject(signal.reason as Error)
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper)
        signal?.removeEventListener('abort', abort)
      }
      const abort = () => {
        leave()
        reject(signal!.reason as Error)
      }
      const wake = () => {
        leave()
        resolve()
      }
      const sleeper: Sleeper = { due: this.#now + Math.max(0, ms), background: how?.background ?? false, wake }
      this.#sleepers.push(sleeper)
      signal?.addEventListener('abort', abort)
      void this.#tick()
    })
  }

  /** Forgets all sleepers: the case is over. */
  stop(): void {
    this.#sleepers = []
  }

  async #tick(): Promise<void> {
    if (this.#ticking) return
    this.#ticking = true
    for (;;) {
      await macrotask()
      if (this.#sleepers.every(({ background }) => background)) break
      const next = this.#sleepers.reduce<Sleeper | undefined>((a, b) => (a && a.due <= b.due ? a : b), undefined)
      this.#now = Math.max(this.#now, next!.due)
      next!.wake()
    }
    this.#ticking = false
  }
}
