import type { ListedBitmap } from '../bitmaps/bitmap-list.ts'
import type { Qcow2Image } from '../image.ts'
import type { DecodedHeaderArea } from '../on-disk/header-area.ts'
import type { SnapshotEntry } from '../on-disk/snapshot-table.ts'
import type { Refcounts } from '../refcounts.ts'
import type { SnapshotStore } from '../snapshot-store.ts'
import { ByteRanges } from './byte-ranges.ts'
import { inactiveL1Ranges, inactiveL2Clusters } from './snapshot-tables.ts'
import { protectedStructures, STRUCTURE, structureName } from './structures.ts'

/** Above this many L2 tables or refcount blocks, not all of them are remembered. */
const MOST = 500_000

interface Seen {
  readonly area: DecodedHeaderArea | null
  readonly l1Offset: number
  readonly l1Entries: number
  readonly refcountTableOffset: number
  readonly refcountTableBytes: number
  readonly snapshots: readonly SnapshotEntry[]
  readonly bitmaps: readonly ListedBitmap[]
}

const NOTHING_SEEN: Seen = { area: null, l1Offset: 0, l1Entries: 0, refcountTableOffset: 0, refcountTableBytes: 0, snapshots: [], bitmaps: [] }

/** Structures that are one cluster each, and any number of them. @internal */
export type TableKind = 'active L2 table' | 'refcount block'

/**
 * Knows where the image's own structures are, so that a damaged or hostile image cannot make us write over them: the
 * header above all, which names other files. Which of them are protected, the option `overlap-check` says.
 *
 * Asking takes constant time per cluster and reads nothing: what has to be read (L2 tables of snapshots) is read by
 * {@link learn}, before the first change and after everything that moves such tables.
 *
 * @internal
 */
export class Overlap {
  readonly #image: Qcow2Image
  readonly #refcounts: Refcounts
  readonly #snapshots: SnapshotStore
  readonly #protected: number
  /** Masks of what is in a cluster, by cluster index: refcount blocks, active and inactive L2 tables. */
  readonly #tables = new Map<number, number>()
  /** None of them is in this cluster, or behind it. */
  #tablesEnd = 0
  /** Structures that are in one piece: from, to and bit of each. */
  #places = new Float64Array(0)
  #inactiveL1 = new ByteRanges([])
  #bitmapTables = new ByteRanges([])
  /** What the places and ranges above were taken from. */
  #seen: Seen = NOTHING_SEEN
  /** What {@link learn} has read. */
  #learnt: readonly SnapshotEntry[] | null = null

  constructor(image: Qcow2Image, refcounts: Refcounts, snapshots: SnapshotStore) {
    this.#image = image
    this.#refcounts = refcounts
    this.#snapshots = snapshots
    this.#protected = protectedStructures(image.options)
    this.renew()
  }

  /** Finds out again where the tables are that are in memory; the others have to be learnt again. */
  renew(): void {
    this.#tables.clear()
    this.#learnt = null
    this.#noteAll(this.#refcounts.uncheckedBlockOffsets(), STRUCTURE.refcountBlock)
    this.#noteAll(this.#image.l1.tableOffsets(), STRUCTURE.activeL2)
  }

  /** Something has to be read before it is known where it is. */
  get mustLearn(): boolean {
    const { entries } = this.#snapshots
    // A repair goes on in spite of snapshots that cannot be read.
    return (this.#protected & STRUCTURE.inactiveL2) !== 0 && entries.length > 0 && !this.#image.mode.forCheck && this.#learnt !== entries
  }

  /**
   * Reads where the L2 tables of snapshots are, if they are protected.
   *
   * @throws what a read throws; BlockError `corrupt` if a snapshot's L1 table is impossible
   */
  async learn(): Promise<void> {
    if (!this.mustLearn) return
    const { entries } = this.#snapshots
    const clusters = await inactiveL2Clusters(this.#image, entries, MOST)
    this.#forgetInactiveL2()
    for (const cluster of clusters) this.#mark(cluster, STRUCTURE.inactiveL2)
    this.#learnt = entries
  }

  /**
   * What is in clusters `first` … `first + count - 1` of the image file, in the reference's words, if anything.
   *
   * @param ignore - mask of structures that may be there
   */
  find(first: number, count: number, ignore = 0): string | undefined {
    const mask = this.#at(first, count) & this.#protected & ~ignore
    return mask === 0 ? undefined : structureName(mask)
  }

  /** @throws BlockError `corrupt` if something is there that must not be written over */
  assertFree(first: number, count: number, ignore = 0): void {
    const what = this.find(first, count, ignore)
    if (what !== undefined) throw this.#image.corruption.found(`Preventing invalid write on metadata (overlaps with ${what})`)
  }

  /** @throws BlockError `corrupt` also for the first cluster, which nobody can own, whatever is protected */
  assertAllocatable(first: number, count: number): void {
    this.assertFree(first, count)
    if (first === 0) throw this.#image.corruption.found('Preventing invalid allocation of cluster at offset 0')
  }

  /** @throws BlockError `corrupt` if the table at host `offset` lies on another structure, so that it may not be changed */
  assertTable(offset: number, kind: TableKind = 'active L2 table'): void {
    this.assertFree(Math.floor(offset / this.#image.clusterSize), 1, bitOf(kind))
  }

  /** The same for an entry of the active L1 table. */
  assertL1Entry(index: number): void {
    this.assertFree(Math.floor((this.#image.l1.offset + index * 8) / this.#image.clusterSize), 1, STRUCTURE.activeL1)
  }

  /** The same for an entry of the refcount table. */
  assertRefcountTableEntry(index: number): void {
    this.assertFree(Math.floor((this.#refcounts.tableOffset + index * 8) / this.#image.clusterSize), 1, STRUCTURE.refcountTable)
  }

  addTable(cluster: number, kind: TableKind): void {
    this.#mark(cluster, bitOf(kind))
  }

  /** There is no active L2 table in `cluster` any more. */
  removeTable(cluster: number): void {
    this.#unmark(cluster, STRUCTURE.activeL2)
  }

  #at(first: number, count: number): number {
    if (this.#isOutdated()) this.#locate()
    const { clusterSize } = this.#image
    const from = first * clusterSize
    const to = from + count * clusterSize
    const places = this.#places
    let mask = 0
    for (let i = 0; i < places.length; i += 3) if (from < places[i + 1]! && places[i]! < to) mask |= places[i + 2]!
    if (this.#inactiveL1.list.length > 0 && this.#inactiveL1.touches(from, to)) mask |= STRUCTURE.inactiveL1
    if (this.#bitmapTables.list.length > 0 && this.#bitmapTables.touches(from, to)) mask |= STRUCTURE.bitmapTable
    if (first < this.#tablesEnd) for (let i = 0; i < count; i++) mask |= this.#tables.get(first + i) ?? 0
    return mask
  }

  #isOutdated(): boolean {
    const seen = this.#seen
    const { area, l1, bitmaps } = this.#image
    const refcounts = this.#refcounts
    return (
      seen.area !== area || seen.l1Offset !== l1.offset || seen.l1Entries !== l1.entries || seen.refcountTableOffset !== refcounts.tableOffset ||
      seen.refcountTableBytes !== refcounts.tableBytes || seen.snapshots !== this.#snapshots.entries || seen.bitmaps !== bitmaps.listed
    )
  }

  /** Something is somewhere else, or something else. */
  #locate(): void {
    const { area, l1, bitmaps: { listed }, clusterSize } = this.#image
    const { tableOffset, tableBytes } = this.#refcounts
    const { entries, tableBytes: snapshotTableBytes } = this.#snapshots
    const { header, extensions: { bitmaps, encryption } } = area
    this.#seen = { area, l1Offset: l1.offset, l1Entries: l1.entries, refcountTableOffset: tableOffset, refcountTableBytes: tableBytes, snapshots: entries, bitmaps: listed }
    const places: number[] = []
    const put = (offset: number, bytes: number, bit: number): void => {
      if (bytes > 0) places.push(offset, offset + bytes, bit)
    }
    put(0, clusterSize, STRUCTURE.mainHeader)
    put(l1.offset, l1.entries * 8, STRUCTURE.activeL1)
    put(tableOffset, tableBytes, STRUCTURE.refcountTable)
    if (entries.length > 0) put(header.snapshotTableOffset, snapshotTableBytes, STRUCTURE.snapshotTable)
    if (bitmaps !== null) put(bitmaps.directoryOffset, bitmaps.directorySize, STRUCTURE.bitmapDirectory)
    if (encryption !== null) put(encryption.offset, encryption.length, STRUCTURE.encryptionHeader)
    this.#places = Float64Array.from(places)
    this.#inactiveL1 = inactiveL1Ranges(entries)
    this.#bitmapTables = new ByteRanges(listed.map(({ entry }) => ({ offset: entry.tableOffset, bytes: entry.tableEntries * 8 })))
    // What was known about the tables of other snapshots is not true any more.
    if (this.#learnt !== null && this.#learnt !== entries) this.#forgetInactiveL2()
  }

  #forgetInactiveL2(): void {
    this.#learnt = null
    for (const cluster of this.#tables.keys()) this.#unmark(cluster, STRUCTURE.inactiveL2)
  }

  #noteAll(offsets: Iterable<number>, bit: number): void {
    for (const offset of offsets) {
      if (this.#tables.size >= MOST) return
      if (offset !== 0) this.#mark(Math.floor(offset / this.#image.clusterSize), bit)
    }
  }

  #mark(cluster: number, bit: number): void {
    if (cluster >= this.#tablesEnd) this.#tablesEnd = cluster + 1
    this.#tables.set(cluster, (this.#tables.get(cluster) ?? 0) | bit)
  }

  #unmark(cluster: number, bit: number): void {
    const left = (this.#tables.get(cluster) ?? 0) & ~bit
    if (left === 0) this.#tables.delete(cluster)
    else this.#tables.set(cluster, left)
  }
}

function bitOf(kind: TableKind): number {
  return kind === 'refcount block' ? STRUCTURE.refcountBlock : STRUCTURE.activeL2
}
