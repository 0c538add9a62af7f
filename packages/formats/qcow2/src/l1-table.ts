import { l1Copied, l1Hi, l1Lo, l1TableOffset, L1_ENTRY_SIZE, setL1Entry } from './on-disk/l1.ts'
import { viewOf } from './on-disk/integers.ts'
import type { HostOffset } from './units.ts'
import { usedEntries } from './used-entries.ts'

/** L1 entries are written in units of this many bytes, so that no write is torn inside an entry. */
const SECTOR = 512

/** A run of an L1 table that has to be written. @internal */
export interface L1Write {
  /** Offset in the file. */
  readonly offset: number
  readonly bytes: Uint8Array
}

/**
 * An L1 table, wholly in memory: the active one, or a snapshot's.
 *
 * Changes collect until {@link takeDirty}; who takes them writes them in order, or gives them back.
 *
 * @internal
 */
export class L1Table {
  offset: HostOffset
  #bytes: Uint8Array
  #view: DataView
  readonly #dirty = new Set<number>()

  constructor(offset: HostOffset, bytes: Uint8Array) {
    this.offset = offset
    this.#bytes = bytes
    this.#view = viewOf(bytes)
  }

  /** Number of entries. */
  get entries(): number {
    return this.#bytes.length / L1_ENTRY_SIZE
  }

  get dirty(): boolean {
    return this.#dirty.size > 0
  }

  /** Where the L2 table of `index` starts: unchecked; 0 if there is none, or no such entry. */
  tableOffset(index: number): HostOffset {
    if (index >= this.entries) return 0 as HostOffset
    return l1TableOffset(l1Hi(this.#view, index), l1Lo(this.#view, index))
  }

  /** Where the L2 tables start, in the order of their indexes: unchecked, and perhaps 0 where there is none. */
  *tableOffsets(): Generator<HostOffset> {
    for (const index of usedEntries(this.#bytes)) yield this.tableOffset(index)
  }

  /** There is an L2 table for `index`, and it may be changed in place. */
  copied(index: number): boolean {
    return this.tableOffset(index) !== 0 && l1Copied(l1Hi(this.#view, index))
  }

  set(index: number, offset: HostOffset): void {
    setL1Entry(this.#view, index, offset, true)
    this.#dirty.add(Math.floor((index * L1_ENTRY_SIZE) / SECTOR))
  }

  /** Moves to a larger table, in which everything that is not dirty is on disk. */
  move(offset: HostOffset, entries: number): void {
    const bytes = new Uint8Array(entries * L1_ENTRY_SIZE)
    bytes.set(this.#bytes)
    this.offset = offset
    this.#bytes = bytes
    this.#view = viewOf(bytes)
  }

  /** A copy of all entries. */
  content(): Uint8Array {
    return this.#bytes.slice()
  }

  /** Becomes another table, which is on disk at `offset`. */
  replace(offset: HostOffset, bytes: Uint8Array): void {
    this.offset = offset
    this.#bytes = bytes
    this.#view = viewOf(bytes)
    this.#dirty.clear()
  }

  /** Copies of what changed; clean afterwards. */
  takeDirty(): L1Write[] {
    const writes = [...this.#dirty].map((sector) => ({
      offset: this.offset + sector * SECTOR,
      bytes: this.#bytes.slice(sector * SECTOR, (sector + 1) * SECTOR),
    }))
    this.#dirty.clear()
    return writes
  }

  /** What was taken could not be written. */
  giveBack(writes: readonly L1Write[]): void {
    for (const write of writes) this.#dirty.add((write.offset - this.offset) / SECTOR)
  }
}
