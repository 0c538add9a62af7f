/**
 * Runs commits one after the other and lets callers share them: whoever asks while one is running shares the next one,
 * because the running one may have begun before the caller's changes.
 *
 * @internal
 */
export class Committer {
  readonly #commit: (stable: boolean, lazy: boolean) => Promise<void>
  #running: Promise<void> | undefined
  #next: { promise: Promise<void>; stable: boolean; lazy: boolean } | undefined

  constructor(commit: (stable: boolean, lazy: boolean) => Promise<void>) {
    this.#commit = commit
  }

  /** True while one is running or will. */
  get busy(): boolean {
    return this.#running !== undefined
  }

  /** Everything changed before this call is on disk afterwards; with `stable`, and was flushed; with `lazy`, but perhaps not refcounts. */
  run(stable: boolean, lazy = false): Promise<void> {
    if (this.#running === undefined) return this.#start(stable, lazy)
    if (this.#next === undefined) {
      const next = { stable, lazy, promise: this.#running.then(ignore, ignore).then(() => this.#startNext()) }
      this.#next = next
    } else {
      this.#next.stable ||= stable
      this.#next.lazy &&= lazy
    }
    return this.#next.promise
  }

  #startNext(): Promise<void> {
    const { stable, lazy } = this.#next!
    this.#next = undefined
    return this.#start(stable, lazy)
  }

  #start(stable: boolean, lazy: boolean): Promise<void> {
    const running = this.#commit(stable, lazy).finally(() => {
      this.#running = undefined
    })
    return (this.#running = running)
  }
}

const ignore = (): void => {}
