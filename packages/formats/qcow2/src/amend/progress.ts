import type { AmendHow } from '@blockloom/block-driver'

/** Units of each step. */
const STEP = 1_000_000

/** Tells how far one step is; never shrinks. @internal */
export type StepProgress = (done: number, total: number) => void

/** Makes one progress of several steps, each of which counts the same. @internal */
export class Progress {
  readonly #how: AmendHow
  readonly #steps: number
  #step = 0
  #shown = 0

  constructor(how: AmendHow, steps: number) {
    this.#how = how
    this.#steps = steps
    how.progress(0, steps * STEP)
  }

  /** Runs the next step. */
  async during(work: (progress: StepProgress) => Promise<void>): Promise<void> {
    const start = this.#step * STEP
    await work((done, total) => this.#show(start + (total === 0 ? STEP : Math.floor((Math.min(done, total) / total) * STEP))))
    this.#step++
    this.#show(this.#step * STEP)
  }

  #show(done: number): void {
    if (done <= this.#shown) return
    this.#shown = done
    this.#how.progress(done, this.#steps * STEP)
  }
}
