/** Lets numbered tasks through one after the other: task n starts when n-1 has passed. @internal */
export class InOrder {
  #next = 0
  readonly #waiting = new Map<number, () => void>()

  /** It is this number's turn. */
  isTurn(number: number): boolean {
    return number === this.#next
  }

  /** Resolves when it is this number's turn. */
  async turn(number: number): Promise<void> {
    if (number === this.#next) return
    await new Promise<void>((resolve) => this.#waiting.set(number, resolve))
  }

  /** The turn is over. Call it also on failure, or everybody behind waits forever. */
  pass(number: number): void {
    this.#next = number + 1
    const resume = this.#waiting.get(this.#next)
    this.#waiting.delete(this.#next)
    resume?.()
  }
}
