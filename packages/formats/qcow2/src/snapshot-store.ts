import { BlockError } from '@blockloom/block-driver'
import type { SnapshotEntry } from './on-disk/snapshot-table.ts'

/**
 * The snapshots of an open image, in the order of its snapshot table.
 *
 * @internal
 */
export class SnapshotStore {
  #entries: readonly SnapshotEntry[]
  #present: ReadonlySet<SnapshotEntry>
  /** Length of the table in the file. */
  tableBytes: number

  constructor(entries: readonly SnapshotEntry[], tableBytes: number) {
    this.#entries = entries
    this.#present = new Set(entries)
    this.tableBytes = tableBytes
  }

  get entries(): readonly SnapshotEntry[] {
    return this.#entries
  }

  /** The table is another one now. */
  replace(entries: readonly SnapshotEntry[], tableBytes: number): void {
    this.#entries = entries
    this.#present = new Set(entries)
    this.tableBytes = tableBytes
  }

  has(entry: SnapshotEntry): boolean {
    return this.#present.has(entry)
  }

  /**
   * The snapshot with this ID, else the first with this name.
   *
   * @throws BlockError `not-found`
   */
  find(select: string): SnapshotEntry {
    const entry = this.#entries.find(({ id }) => id === select) ?? this.#entries.find(({ name }) => name === select)
    if (entry === undefined) throw new BlockError('not-found', `Can't find snapshot '${select}'`, { detail: { snapshot: select } })
    return entry
  }

  /** An ID that no snapshot has: one more than the highest number. */
  newId(): string {
    let highest = 0n
    for (const { id } of this.#entries) {
      const number = BigInt(/^\d+/.exec(id)?.[0] ?? 0)
      if (number > highest) highest = number
    }
    return String(highest + 1n)
  }
}
