/** What may be worked on in one turn of the event loop: a few milliseconds of copying. */
const STRETCH = 32 << 20
/** What has no bytes to be copied takes time, too. */
const LEAST = 16 << 10

/**
 * Work whose requests are all done at once (images in memory) would let no timer, socket or signal through: after
 * some of it a turn of the event loop is due.
 *
 * @internal
 */
export class Turns {
  #left = STRETCH

  /** Counts a piece of work; the next turn, if it is due. */
  spend(bytes: number): Promise<void> | null {
    this.#left -= Math.max(bytes, LEAST)
    if (this.#left > 0) return null
    this.#left = STRETCH
    return new Promise((resolve) => setImmediate(resolve))
  }
}
