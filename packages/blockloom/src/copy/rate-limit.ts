import { createRealContext } from '@blockloom/coroutine-scheduler'

/** A leaky bucket without burst, for one copy. @internal */
export class RateLimit {
  readonly #clock = createRealContext()
  readonly #bytesPerMs: number
  /** When everything let through so far will have drained. */
  #free = 0

  constructor(bytesPerSecond: number) {
    this.#bytesPerMs = bytesPerSecond / 1000
  }

  async wait(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    const now = this.#clock.now()
    const start = Math.max(now, this.#free)
    this.#free = start + bytes / this.#bytesPerMs
    if (start > now) await this.#clock.sleep(start - now, signal)
  }
}
