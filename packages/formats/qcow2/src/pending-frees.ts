/** Why clusters become free; options say for which reasons the space is discarded in the file. @internal */
export type FreeReason = 'request' | 'other'

/** One reference less to each of `count` host clusters. @internal */
export interface PendingFree {
  readonly first: number
  count: number
  readonly reason: FreeReason
}

/**
 * References that were dropped in memory. The clusters stay in use until the tables that dropped them are stable on
 * disk: after a crash the old tables still point there.
 *
 * @internal
 */
export class PendingFrees {
  #list: PendingFree[] = []

  get empty(): boolean {
    return this.#list.length === 0
  }

  add(first: number, count: number, reason: FreeReason): void {
    const last = this.#list.at(-1)
    if (last !== undefined && last.first + last.count === first && last.reason === reason) last.count += count
    else this.#list.push({ first, count, reason })
  }

  take(): PendingFree[] {
    const taken = this.#list
    this.#list = []
    return taken
  }

  /** The tables could not be written. */
  giveBack(taken: readonly PendingFree[]): void {
    this.#list = [...taken, ...this.#list]
  }
}
