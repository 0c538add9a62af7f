/** Why clusters become free; options say for which reasons the space is discarded in the file. @internal */
export type FreeReason = 'request' | 'snapshot' | 'other'

/** One reference less to each of `count` host clusters. @internal */
export interface PendingFree {
  readonly first: number
  count: number
  readonly reason: FreeReason
  /** The clusters stay in use, by this guest cluster and the next ones; only what is in them may go. */
  readonly guest?: number
  /** When they became zeroes, by {@link PendingFrees}' own time. */
  readonly since?: number
}

/** Clusters that stay in use: {@link PendingFree} with all that is known about them. @internal */
export type PendingKept = PendingFree & Required<Pick<PendingFree, 'guest' | 'since'>>

/**
 * References that were dropped in memory. The clusters stay in use until the tables that dropped them are stable on
 * disk: after a crash the old tables still point there.
 *
 * @internal
 */
export class PendingFrees {
  #list: PendingFree[] = []
  /** Runs of kept clusters that have not been dealt with. */
  #kept = 0
  /** Passes whenever a cluster is filled. */
  #time = 0
  /** When clusters were filled last, as long as some kept ones have not been dealt with. */
  readonly #filled = new Map<number, number>()

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
    if (last?.guest !== undefined && last.since === this.#time && last.first + last.count === cluster && last.guest + last.count === guest) last.count++
    else {
      this.#list.push({ first: cluster, count: 1, reason: 'request', guest, since: this.#time })
      this.#kept++
    }
  }

  /** An entry points to data in these clusters now. */
  filled(first: number, count: number): void {
    if (this.#kept === 0) return
    this.#time++
    for (let cluster = first; cluster < first + count; cluster++) this.#filled.set(cluster, this.#time)
  }

  /**
   * How many of `count` clusters from `first` on have only been zeroes since a time: others may have become zeroes again,
   * but in entries that are not stable yet.
   */
  unfilledSince(since: number, first: number, count: number): number {
    if (this.#filled.size === 0) return count
    let run = 0
    while (run < count && (this.#filled.get(first + run) ?? 0) <= since) run++
    return run
  }

  /** A run of kept clusters has been dealt with. */
  keptDone(): void {
    if (--this.#kept === 0) this.#filled.clear()
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
