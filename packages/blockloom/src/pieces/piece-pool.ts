import { isQuick } from './is-quick.ts'

/**
 * Runs the pieces of a long copy side by side, a few at a time. The first failure counts: no new piece starts after it.
 *
 * @internal
 */
export class PiecePool {
  readonly #parallel: number
  #limit: number
  #running = 0
  #failed: { readonly error: unknown } | null = null
  #waiting: (() => void)[] = []

  /**
   * @param parallel - pieces in flight, at most
   * @param initially - so many while nothing has to be waited for: what is cached is done at once, and fewer buffers
   * stay in the processor's cache
   */
  constructor(parallel: number, initially = parallel) {
    this.#parallel = parallel
    this.#limit = initially
  }

  /** Starts a piece as soon as there is room. @throws what an earlier one failed with */
  async start(piece: () => Promise<void>): Promise<void> {
    while (this.#running >= this.#limit && this.#failed === null) {
      const change = this.#change()
      if (this.#limit < this.#parallel && !(await isQuick(change))) this.#limit++
      else await change
    }
    this.#throwFailure()
    this.#running++
    piece()
      .catch((error: unknown) => {
        this.#failed ??= { error }
      })
      .finally(() => {
        this.#running--
        const waiting = this.#waiting
        this.#waiting = []
        for (const resume of waiting) resume()
      })
  }

  /** Waits for all. @throws what the first one failed with */
  async finish(): Promise<void> {
    await this.settled()
    this.#throwFailure()
  }

  /** Waits until nothing is in flight, however it ends. */
  async settled(): Promise<void> {
    while (this.#running > 0) await this.#change()
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  #throwFailure(): void {
    if (this.#failed !== null) throw this.#failed.error
  }
}
