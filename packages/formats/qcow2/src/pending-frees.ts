/** Why clusters become free; options say for which reasons the space is discarded in the file. @internal */
export type FreeReason = 'request' | 'snapshot' | 'other'

/** One reference less to each of `count` host clusters. @internal */
export interface PendingFree {
  readonly first: number
  count: number
  readonly reason: FreeReason
  /** The clusters stay in use, by this guest cluster and the next ones; only what is in them may go. */
  readonly guest?: number
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
    if (last !== undefined && last.first + last.count === first && last.reason === reason && last.guest === undefined) last.count += count
    else this.#list.push({ first, count, reason })
  }

  /** A cluster that stays in use: its old bytes can be discarded when its entry is stable. */
  addKept(cluster: number, guest: number): void {
    const last = this.#list.at(-1)
    if (last?.guest !== undefined && last.first + last.count === cluster && last.guest + last.count === guest) last.count++
    else this.#list.push({ first: cluster, count: 1, reason: 'request', guest })
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
