import type { Qcow2Image } from './image.ts'
import type { Refcounts } from './refcounts.ts'

/** Above this many L2 tables or refcount blocks, not all of them are remembered. */
const MOST = 500_000

/**
 * Knows where the image's own structures are, so that a damaged or hostile image cannot make us write over them: the
 * header above all, which names other files.
 *
 * Constant time per cluster. L2 tables of snapshots are not covered.
 *
 * @internal
 */
export class Overlap {
  readonly #image: Qcow2Image
  readonly #refcounts: Refcounts
  /** Cluster indices of refcount blocks and of active L2 tables. */
  readonly #tables = new Map<number, 'active L2 table' | 'refcount block'>()
  /** Tables of a damaged or hostile image that lie on other structures: cluster index, and what is there. */
  readonly #misplaced = new Map<number, string>()

  constructor(image: Qcow2Image, refcounts: Refcounts) {
    this.#image = image
    this.#refcounts = refcounts
    this.renew()
  }

  /** Finds out again where the tables are. */
  renew(): void {
    const image = this.#image
    const refcounts = this.#refcounts
    this.#tables.clear()
    this.#misplaced.clear()
    for (let index = 0; index < refcounts.tableEntries && this.#tables.size < MOST; index++) {
      const offset = refcounts.uncheckedBlockOffset(index)
      if (offset !== 0) this.#note(offset / image.clusterSize, 'refcount block')
    }
    for (let index = 0; index < image.l1.entries && this.#tables.size < MOST; index++) {
      const offset = image.l1.tableOffset(index)
      if (offset !== 0) this.#note(offset / image.clusterSize, 'active L2 table')
    }
  }

  #note(cluster: number, what: 'active L2 table' | 'refcount block'): void {
    const there = this.find(cluster, 1)
    if (there !== undefined && there !== what) this.#misplaced.set(cluster, there)
    this.#tables.set(cluster, what)
  }

  /** @throws BlockError `corrupt` if the table at host `offset` lies on another structure, so that it may not be changed */
  assertTable(offset: number): void {
    if (this.#misplaced.size === 0) return
    const what = this.#misplaced.get(Math.floor(offset / this.#image.clusterSize))
    if (what !== undefined) this.#refuse(what)
  }

  #refuse(what: string): never {
    throw this.#image.corruption.found(`Preventing invalid write on metadata (overlaps with ${what})`)
  }

  /** What is in clusters `first` … `first + count - 1` of the image file, in the reference's words, if anything. */
  find(first: number, count: number): string | undefined {
    const { clusterSize, header, l1 } = this.#image
    const from = first * clusterSize
    const to = from + count * clusterSize
    if (from < clusterSize) return 'qcow2_header'
    if (from < l1.offset + l1.entries * 8 && l1.offset < to) return 'active L1 table'
    const table = this.#refcounts
    if (from < table.tableOffset + table.tableBytes && table.tableOffset < to) return 'refcount table'
    if (header.snapshotCount > 0 && from <= header.snapshotTableOffset && header.snapshotTableOffset < to) return 'snapshot table'
    for (let i = 0; i < count; i++) {
      const what = this.#tables.get(first + i)
      if (what !== undefined) return what
    }
    return undefined
  }

  /** @throws BlockError `corrupt` if something is there that must not be written over */
  assertFree(first: number, count: number): void {
    const what = this.find(first, count)
    if (what !== undefined) this.#refuse(what)
  }

  addTable(cluster: number, what: 'active L2 table' | 'refcount block'): void {
    this.#tables.set(cluster, what)
  }

  removeTable(cluster: number): void {
    this.#tables.delete(cluster)
  }
}
