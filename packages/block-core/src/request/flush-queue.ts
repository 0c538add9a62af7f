import type { FlushScope } from '@blockloom/block-driver'

/**
 * Flushes with generations: a flush of a node that did not change since the last one is free, and any number of
 * callers that wait behind a running flush share the next one.
 *
 * @internal
 */
export class FlushQueue {
  /** Counts finished changes. */
  #written = 0
  /** Everything up to this generation is on stable storage. */
  #stable = 0
  #active: Promise<void> | null = null

  /** Something changed; called when a request has ended, well or badly. */
  changed(): void {
    this.#written++
  }

  get dirty(): boolean {
    return this.#written !== this.#stable
  }

  async flush(scope: FlushScope, run: (scope: FlushScope) => Promise<void>): Promise<void> {
    const wanted = this.#written
    while (this.#active !== null) {
      // The running flush may have begun before our writes; its failure is its caller's.
      await this.#active.catch(() => {})
    }
    if (this.#stable >= wanted) return
    const covers = this.#written
    const active = run(scope)
    this.#active = active
    try {
      await active
      if (scope === 'stable' && covers > this.#stable) this.#stable = covers
    } finally {
      this.#active = null
    }
  }
}
