/**
 * Runs the pieces of a long copy side by side, a few at a time. The first failure counts: no new piece starts after it.
 *
 * @internal
 */
export class PiecePool {
  readonly #parallel: number
  #running = 0
  #failed: { readonly error: unknown } | null = null
  #waiting: (() => void)[] = []

  constructor(parallel: number) {
    this.#parallel = parallel
  }

  /** Starts a piece as soon as there is room. @throws what an earlier one failed with */
  async start(piece: () => Promise<void>): Promise<void> {
    while (this.#running >= this.#parallel && this.#failed === null) await this.#change()
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
