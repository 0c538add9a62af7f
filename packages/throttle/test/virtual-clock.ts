import type { ThrottleClock } from '../src/index.ts'

interface Timer {
  readonly atMs: number
  readonly order: number
  readonly wake: () => void
}

/** Time that passes only when `run` says so. `lateness` is added to every timer, as a busy host does. */
export class VirtualClock implements ThrottleClock {
  #now: number
  #order = 0
  #timers: Timer[] = []
  #lateness: () => number

  constructor(startMs = 0, lateness: () => number = () => 0) {
    this.#now = startMs
    this.#lateness = lateness
  }

  /** Timers that are armed. */
  get armed(): number {
    return this.#timers.length
  }

  /** When the timers are due. */
  get due(): number[] {
    return this.#timers.map((timer) => timer.atMs)
  }

  now(): number {
    return this.#now
  }

  wakeAt(atMs: number, wake: () => void): () => void {
    const timer = { atMs: Math.max(atMs + this.#lateness(), this.#now), order: this.#order++, wake }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer)
    }
  }

  sleepUntil(atMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#timers.push({ atMs, order: this.#order++, wake: resolve })
    })
  }

  /** Runs until `untilMs`, letting everything settle between two moments. */
  async run(untilMs: number): Promise<void> {
    for (;;) {
      await settle()
      let next: Timer | null = null
      for (const timer of this.#timers) {
        if (next === null || timer.atMs < next.atMs || (timer.atMs === next.atMs && timer.order < next.order)) next = timer
      }
      if (next === null || next.atMs > untilMs) break
      const chosen = next
      this.#timers = this.#timers.filter((timer) => timer !== chosen)
      this.#now = Math.max(this.#now, chosen.atMs)
      chosen.wake()
    }
    this.#now = untilMs
  }
}

/** Lets every promise that can settle do so. */
export function settle(): Promise<void> {
  return new Promise((resolve) => { setImmediate(resolve) })
}
