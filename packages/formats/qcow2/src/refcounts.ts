import type { ChildHandle } from '@blockloom/block-driver'
import { TableCache, type TableEntry } from '@blockloom/driver-kit'
import { hex, type Corruption } from './corruption.ts'
import { eachSlice } from './each-slice.ts'
import { viewOf } from './on-disk/integers.ts'
import { isUsableClusterOffset } from './on-disk/l2.ts'
import { refcountBlockOffset, refcountCodec, setRefcountBlockOffset, type RefcountCodec } from './on-disk/refcount.ts'
import type { Overlap } from './overlap/overlap.ts'
import type { Geometry, HostOffset } from './units.ts'
import { usedEntries } from './used-entries.ts'

/** @internal */
export interface RefcountsInit {
  readonly geometry: Geometry
  readonly file: ChildHandle
  readonly corruption: Corruption
  /** The refcount table's place and content; whole clusters. */
  readonly tableOffset: HostOffset
  readonly table: Uint8Array
  readonly cache: TableCache
}

/** An entry of the refcount table that has to be written. @internal */
export interface TableWrite {
  readonly index: number
  /** Offset in the file. */
  readonly offset: number
  readonly bytes: Uint8Array
}

/**
 * The reference counts of host clusters: the refcount table in memory, the blocks in a cache.
 *
 * Everything is synchronous as long as the slice of the refcount block is cached; {@link load} reads it.
 *
 * @internal
 */
export class Refcounts {
  codec: RefcountCodec
  readonly cache: TableCache
  tableOffset: HostOffset
  /** Knows whether a block or a table entry may be changed. */
  overlap: Pick<Overlap, 'assertTable' | 'assertRefcountTableEntry'> | null = null
  #geometry: Geometry
  readonly #corruption: Corruption
  #perSlice: number
  readonly #dirty = new Set<number>()
  #table: DataView

  constructor(init: RefcountsInit) {
    this.codec = refcountCodec(init.geometry.refcountBits)
    this.cache = init.cache
    this.tableOffset = init.tableOffset
    this.#table = viewOf(init.table)
    this.#geometry = init.geometry
    this.#corruption = init.corruption
    this.#perSlice = (init.cache.entrySize * 8) / init.geometry.refcountBits
  }

  /** Entries of the refcount table: it can count this many blocks' clusters. */
  get tableEntries(): number {
    return this.#table.byteLength / 8
  }

  get tableBytes(): number {
    return this.#table.byteLength
  }

  /** Refcounts in one cached slice of a block. */
  get perSlice(): number {
    return this.#perSlice
  }

  get tableDirty(): boolean {
    return this.#dirty.size > 0
  }

  /**
   * Where the block of table entry `index` is; 0 if there is none.
   *
   * @throws BlockError `corrupt` if it cannot be there
   */
  blockOffset(index: number): HostOffset {
    if (index >= this.tableEntries) return 0 as HostOffset
    const offset = refcountBlockOffset(this.#table, index)
    if (!isUsableClusterOffset(this.#geometry, offset)) {
      throw this.#corruption.found(`Refblock offset ${hex(offset)} unaligned (reftable index: ${hex(index)})`)
    }
    return offset
  }

  /** Where the table says that blocks are, in its order: unchecked, and perhaps 0 where there is none. */
  *uncheckedBlockOffsets(): Generator<HostOffset> {
    const { buffer, byteOffset, byteLength } = this.#table
    for (const index of usedEntries(new Uint8Array(buffer, byteOffset, byteLength))) yield refcountBlockOffset(this.#table, index)
  }

  /** The cached slice with the refcount of `cluster`; `undefined` if it has to be loaded or there is no block. */
  slice(cluster: number): TableEntry | undefined {
    const offset = this.#sliceOffset(cluster)
    return offset === 0 ? undefined : this.cache.peek(offset)
  }

  /** Reads the slice with the refcount of `cluster`, if there is a block. */
  async load(cluster: number): Promise<void> {
    const offset = this.#sliceOffset(cluster)
    if (offset !== 0) this.cache.unpin(await this.cache.load(offset))
  }

  /** The refcount of `cluster`; `undefined` if its slice has to be loaded. */
  get(cluster: number): number | undefined {
    const offset = this.#sliceOffset(cluster)
    if (offset === 0) return 0
    const slice = this.cache.peek(offset)
    return slice === undefined ? undefined : this.codec.get(slice.view, cluster % this.#perSlice)
  }

  /** Sets the refcount of `cluster`, whose slice is cached. */
  set(cluster: number, refcount: number): void {
    this.setRun(this.slice(cluster)!, cluster, 1, refcount)
  }

  /** Sets the refcounts of `count` clusters from `cluster` on, which are all in `slice`. */
  setRun(slice: TableEntry, cluster: number, count: number, refcount: number): void {
    this.overlap?.assertTable(slice.offset, 'refcount block')
    const first = cluster % this.#perSlice
    this.codec.fill(slice.view, first, count, refcount)
    const bits = this.codec.bits
    const from = Math.floor((first * bits) / 8)
    this.cache.markDirty(slice, from, Math.ceil(((first + count) * bits) / 8) - from)
  }

  /** The refcount of `cluster`, read if need be. */
  async read(cluster: number): Promise<number> {
    for (;;) {
      const refcount = this.get(cluster)
      if (refcount !== undefined) return refcount
      await this.load(cluster)
    }
  }

  /**
   * Makes the missing block of table entry `index`, in host cluster `cluster`, which that block itself counts. So no
   * other block is involved, and the new one is valid as soon as the table points to it.
   */
  createBlock(index: number, cluster: number): void {
    this.overlap?.assertRefcountTableEntry(index)
    const offset = cluster * this.#geometry.clusterSize
    for (let at = 0; at < this.#geometry.clusterSize; at += this.cache.entrySize) this.cache.create(offset + at)
    setRefcountBlockOffset(this.#table, index, offset)
    this.#dirty.add(index)
    this.set(cluster, 1)
  }

  /** Copies of the table entries that changed; clean afterwards. */
  takeDirtyTable(): TableWrite[] {
    const writes = [...this.#dirty].map((index) => this.#entryWrite(index))
    this.#dirty.clear()
    return writes
  }

  /** What was taken could not be written. */
  giveBackTable(writes: readonly TableWrite[]): void {
    for (const write of writes) this.#dirty.add(write.index)
  }

  /** The table of `bytes` bytes as it may be written now: without entries whose blocks are not on disk yet. */
  stableTable(bytes: number): Uint8Array {
    const table = new Uint8Array(bytes)
    table.set(new Uint8Array(this.#table.buffer, this.#table.byteOffset, Math.min(bytes, this.#table.byteLength)))
    const view = viewOf(table)
    for (const index of this.#dirty) setRefcountBlockOffset(view, index, 0)
    return table
  }

  /** Moves to a larger table that is on disk; entries that were dirty stay dirty. */
  replaceTable(offset: HostOffset, table: Uint8Array): void {
    const view = viewOf(table)
    for (const index of this.#dirty) setRefcountBlockOffset(view, index, refcountBlockOffset(this.#table, index))
    this.tableOffset = offset
    this.#table = view
  }

  /**
   * Becomes other refcounts, which are on disk, and may have another width. What was cached or not written yet of the old
   * ones is forgotten.
   */
  startOver(geometry: Geometry, offset: HostOffset, table: Uint8Array): void {
    for (const block of this.uncheckedBlockOffsets()) {
      if (block !== 0) eachSlice(block, geometry.clusterSize, this.cache, (at) => this.cache.drop(at))
    }
    this.#geometry = geometry
    this.codec = refcountCodec(geometry.refcountBits)
    this.#perSlice = (this.cache.entrySize * 8) / geometry.refcountBits
    this.#dirty.clear()
    this.tableOffset = offset
    this.#table = viewOf(table)
  }

  #sliceOffset(cluster: number): number {
    const { refcountBlockEntries } = this.#geometry
    const index = Math.floor(cluster / refcountBlockEntries)
    const block = this.blockOffset(index)
    if (block === 0) return 0
    const inBlock = cluster - index * refcountBlockEntries
    return block + Math.floor(inBlock / this.#perSlice) * this.cache.entrySize
  }

  #entryWrite(index: number): TableWrite {
    const bytes = new Uint8Array(8)
    setRefcountBlockOffset(viewOf(bytes), 0, refcountBlockOffset(this.#table, index))
    return { index, offset: this.tableOffset + index * 8, bytes }
  }
}
