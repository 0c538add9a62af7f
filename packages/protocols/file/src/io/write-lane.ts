/**
 * Lets the long writes to one file through in the order they came, a few at a time.
 *
 * Hosts copy buffered writes into one file one after the other, under the file's lock. More threads would only spin on
 * it, and be missing where they could read.
 *
 * @internal
 */
export class WriteLane {
  readonly #width: number
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor(width: number) {
    this.#width = width
  }

  async run(write: () => Promise<void>): Promise<void> {
    if (this.#running === this.#width) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    else this.#running++
    try {
      await write()
    } finally {
      // The place is handed on, so that nobody who comes now overtakes those who wait.
      const next = this.#waiting.shift()
      if (next === undefined) this.#running--
      else next()
    }
  }
}
