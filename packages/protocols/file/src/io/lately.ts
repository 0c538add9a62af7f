/** So many bytes done otherwise, and nothing will be given to the thread for a while. */
const LATELY = 32 * 1024 * 1024

/**
 * Whether the thread of the host's library has requests of one kind, of whatever file, or had until a moment ago.
 *
 * @internal
 */
export class Lately {
  #underWay = 0
  #others = Infinity

  /** Bytes that were done otherwise since a request was given to the thread. */
  get others(): number {
    return this.#others
  }

  began(): void {
    this.#underWay++
  }

  /** The thread has one more. */
  given(): void {
    this.#others = 0
  }

  ended(): void {
    this.#underWay--
  }

  /** Notes what is about to be done otherwise; true if requests are under way, or were when little else had been done. */
  is(bytes: number): boolean {
    this.#others += bytes
    return this.#underWay > 0 || this.#others <= LATELY
  }
}
