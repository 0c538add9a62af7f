/**
 * Lets requests of the guest through, except while somebody needs the image for himself.
 *
 * @internal
 */
export class Gate {
  #closed: Promise<void> | null = null

  /** Requests may start now. */
  get open(): boolean {
    return this.#closed === null
  }

  /** Starts a request as soon as the gate is open. */
  async pass<T>(start: () => Promise<T>): Promise<T> {
    while (this.#closed !== null) await this.#closed
    return start()
  }

  /** Closes the gate, when nobody else has it closed; requests that have passed go on. */
  async close(): Promise<Disposable> {
    while (this.#closed !== null) await this.#closed
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#closed = promise
    return {
      [Symbol.dispose]: () => {
        this.#closed = null
        resolve()
      },
    }
  }
}
