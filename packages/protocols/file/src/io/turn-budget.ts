/** Requests of no length that may complete in one turn of the event loop. */
const UNITS = 256
/** A request costs one more unit for each of these bytes. */
const BYTES_PER_UNIT = 16384

/** Turns of the event loop that somebody noticed. */
let turns = 0

/** The event loop has turned: whatever waited for its turn had it. @internal */
export function noticeTurn(): void {
  turns++
}

/**
 * Requests that complete at once would starve timers and sockets: after about a millisecond's worth of them the
 * next one has to wait for a turn of the event loop.
 *
 * @internal
 */
export class TurnBudget {
  #left = UNITS
  #turn: Promise<void> | null = null
  /** What {@link turns} was when the budget was full. */
  #since = turns

  /** True if a request of this length may be done at once. */
  spend(bytes: number): boolean {
    if (this.#left <= 0) {
      if (this.#since === turns) return false
      this.#refill()
    }
    this.#left -= 1 + Math.floor(bytes / BYTES_PER_UNIT)
    return true
  }

  /** Resolves in another turn, with the budget full again. */
  turn(): Promise<void> {
    this.#turn ??= new Promise((resolve) => {
      setImmediate(() => {
        noticeTurn()
        this.#refill()
        this.#turn = null
        resolve()
      })
    })
    return this.#turn
  }

  #refill(): void {
    this.#left = UNITS
    this.#since = turns
  }
}
