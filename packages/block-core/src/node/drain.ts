/** Holds back new requests of users while a node is drained. Nests. @internal */
export class Drain {
  #depth = 0
  #waiters: (() => void)[] = []

  get active(): boolean {
    return this.#depth > 0
  }

  begin(): void {
    this.#depth++
  }

  end(): void {
    if (--this.#depth > 0) return
    const waiters = this.#waiters
    this.#waiters = []
    for (const resume of waiters) resume()
  }

  /** Resolves when no drain is active. */
  async resumed(): Promise<void> {
    while (this.#depth > 0) await new Promise<void>((resolve) => this.#waiters.push(resolve))
  }
}
