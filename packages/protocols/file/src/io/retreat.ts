import type { LongRow } from './long-row.ts'

/** Requests one after the other that nothing was done behind. */
const MOST_ALONE = 4
/** Bytes until it is tried again after that: twice as many each time. */
const SHORTEST = 16 * 1024 * 1024
const LONGEST = 1024 * 1024 * 1024

/**
 * Whoever waits for each request of a stream gains nothing by having them done elsewhere: such a row counts as no stream,
 * for longer and longer.
 *
 * @internal
 */
export class Retreat {
  readonly #row: LongRow
  #alone = 0
  #bytes = SHORTEST

  constructor(row: LongRow) {
    this.#row = row
  }

  /** A request ended; `alone`: nothing was done meanwhile, and nothing is under way behind it. */
  ended(alone: boolean): void {
    this.#alone = alone ? this.#alone + 1 : 0
    if (this.#alone < MOST_ALONE) return
    this.#alone = 0
    this.#row.forget(this.#bytes)
    this.#bytes = Math.min(this.#bytes * 2, LONGEST)
  }
}
