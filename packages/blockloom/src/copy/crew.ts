/** Turns of the event loop in which nothing gets done, a few microseconds each, until there is one more. */
const IDLE_TURNS = 2

/**
 * Workers who do the same work side by side: as few as keep it going.
 *
 * There is one at first. While everything is in the host's memory, his requests are done at once, and what he has just
 * read is still in the processor's cache when he writes it; others would only push it out. Whenever a few turns of the event
 * loop go by in which nothing gets done, because something is being waited for, there is one more.
 *
 * @internal
 */
export class Crew {
  readonly #most: number
  readonly #work: () => Promise<void>
  readonly #workers: Promise<void>[] = []
  #active = 0
  #done = 0

  /** @param work - resolves when nothing is left to be done; never rejects */
  constructor(most: number, work: () => Promise<void>) {
    this.#most = most
    this.#work = work
  }

  /** Something got done. */
  progress(): void {
    this.#done++
  }

  /** Resolves when all have ended. */
  async run(): Promise<void> {
    this.#start()
    let seen = this.#done
    for (let idle = 0; this.#active > 0 && this.#workers.length < this.#most; ) {
      await new Promise<void>((resolve) => setImmediate(resolve))
      idle = this.#done === seen ? idle + 1 : 0
      seen = this.#done
      if (idle < IDLE_TURNS || this.#active === 0) continue
      this.#start()
      idle = 0
    }
    await Promise.all(this.#workers)
  }

  #start(): void {
    this.#active++
    this.#workers.push(
      this.#work().finally(() => {
        this.#active--
      }),
    )
  }
}
