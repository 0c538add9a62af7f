/**
 * Runs commits one after the other and lets callers share them: whoever asks while one is running shares the next one,
 * because the running one may have begun before the caller's changes.
 *
 * @internal
 */
export class Committer {
  readonly #commit: (stable: boolean) => Promise<void>
  #running: Promise<void> | undefined
  #next: { promise: Promise<void>; stable: boolean } | undefined

  constructor(commit: (stable: boolean) => Promise<void>) {
    this.#commit = commit
  }

  /** True while one is running or will. */
  get busy(): boolean {
    return this.#running !== undefined
  }

  /** Everything changed before this call is on disk afterwards; with `stable`, and was flushed. */
  run(stable: boolean): Promise<void> {
    if (this.#running === undefined) return this.#start(stable)
    if (this.#next === undefined) {
      const next = { stable, promise: this.#running.then(ignore, ignore).then(() => this.#startNext()) }
      this.#next = next
    } else if (stable) {
      this.#next.stable = true
    }
    return this.#next.promise
  }

  #startNext(): Promise<void> {
    const { stable } = this.#next!
    this.#next = undefined
    return this.#start(stable)
  }

  #start(stable: boolean): Promise<void> {
    const running = this.#commit(stable).finally(() => {
      this.#running = undefined
    })
    return (this.#running = running)
  }
}

const ignore = (): void => {}
