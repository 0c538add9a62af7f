/**
 * Runs the pieces of a long copy side by side, a few at a time, with buffers that are used again. The first failure
 * counts: no new piece starts after it.
 *
 * @internal
 */
export class PiecePool {
  readonly #parallel: number
  readonly #pieceBytes: number
  readonly #buffers: Uint8Array[] = []
  #running = 0
  #failed: { readonly error: unknown } | null = null
  #waiting: (() => void)[] = []

  /** @param pieceBytes - size of a buffer; `parallel` times the buffers of a piece is the memory used */
  constructor(parallel: number, pieceBytes: number) {
    this.#parallel = parallel
    this.#pieceBytes = pieceBytes
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

  /** A buffer for a piece, its first `bytes`; to be given back with {@link PiecePool.give}. */
  take(bytes: number): Uint8Array {
    const buffer = this.#buffers.pop() ?? new Uint8Array(this.#pieceBytes)
    return bytes === buffer.length ? buffer : buffer.subarray(0, bytes)
  }

  /** Nothing uses the buffer any more. */
  give(buffer: Uint8Array): void {
    this.#buffers.push(new Uint8Array(buffer.buffer))
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  #throwFailure(): void {
    if (this.#failed !== null) throw this.#failed.error
  }
}
