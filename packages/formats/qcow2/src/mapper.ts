import type { TableCache, TableEntry } from '@blockloom/driver-kit'
import { hex, type Corruption } from './corruption.ts'
import type { L1Table } from './l1-table.ts'
import { classifyCluster, l2HostOffset, type L2Context } from './on-disk/l2.ts'
import { classifySubcluster, hasInvalidSubclusters, subclusterRun } from './on-disk/l2-subclusters.ts'
import { guestOffset, type Geometry } from './units.ts'

/**
 * What a run of guest bytes is.
 *
 * - `absent`: look in the backing file
 * - `zero`, `zero-alloc`: zeroes, without or with a host cluster
 * - `data`: at `host` in the data file
 * - `compressed`: `hi` and `lo` are its descriptor
 *
 * @internal
 */
export type RunKind = 'absent' | 'zero' | 'zero-alloc' | 'data' | 'compressed'

/** What a mapper needs of its image. @internal */
export interface MapperInit {
  readonly geometry: Geometry
  readonly context: L2Context
  readonly version: 2 | 3
  readonly l2Cache: TableCache
  readonly corruption: Corruption
}

/** Host offsets with more bits than this are above MAX_HOST_OFFSET. */
const MAX_HOST_HI = 0x1f_ffff

/**
 * Looks up guest offsets through one L1 table, without waiting as long as the L2 slices are cached.
 *
 * The result of {@link lookup} is in the mapper's own fields and holds until the next call: no object is made per run.
 *
 * @internal
 */
export class Mapper {
  kind: RunKind = 'absent'
  /** Length of the run, at least 1. */
  bytes = 0
  /** Host offset of the run's first byte, for `data` and `zero-alloc`. */
  host = 0
  hi = 0
  lo = 0
  readonly l1: L1Table
  readonly #image: MapperInit
  readonly #clusterSize: number
  readonly #entrySize: number
  readonly #l2Entries: number
  readonly #sliceEntries: number
  readonly #misaligned: number
  readonly #extended: boolean

  constructor(image: MapperInit, l1: L1Table) {
    this.l1 = l1
    this.#image = image
    const { geometry, l2Cache } = image
    this.#clusterSize = geometry.clusterSize
    this.#entrySize = geometry.l2EntrySize
    this.#l2Entries = geometry.l2Entries
    this.#sliceEntries = l2Cache.entrySize / geometry.l2EntrySize
    this.#misaligned = (geometry.clusterSize - 1) & ~0x1ff
    this.#extended = geometry.extendedL2
  }

  /**
   * Finds the run that starts at guest offset `at`, at most up to `end`, and at most to the end of the L2 slice.
   *
   * @returns false if an L2 slice has to be read first: call {@link load} and try again
   * @throws BlockError `corrupt` for an entry that cannot be
   */
  lookup(at: number, end: number): boolean {
    const clusterSize = this.#clusterSize
    const cluster = Math.floor(at / clusterSize)
    const l1Index = Math.floor(cluster / this.#l2Entries)
    const table = this.#tableOffset(l1Index)
    if (table === 0) {
      this.kind = 'absent'
      this.bytes = Math.min(end, (l1Index + 1) * this.#l2Entries * clusterSize) - at
      return true
    }
    const index = cluster - l1Index * this.#l2Entries
    const first = index - (index % this.#sliceEntries)
    const slice = this.#image.l2Cache.peek(table + first * this.#entrySize)
    if (slice === undefined) return false

    let inSlice = index - first
    let inCluster = at - cluster * clusterSize
    let bytes = this.#classify(slice, inSlice, cluster, inCluster)
    const { kind, host } = this
    let runEnd = at + bytes
    // `runEnd` is the end of a cluster exactly if the run may go on in the next one.
    let nextCluster = (cluster + 1) * clusterSize
    while (runEnd < end && kind !== 'compressed') {
      if (runEnd === nextCluster) {
        if (++inSlice === this.#sliceEntries) break
        nextCluster += clusterSize
      }
      inCluster = runEnd - (nextCluster - clusterSize)
      bytes = this.#classify(slice, inSlice, nextCluster / clusterSize - 1, inCluster)
      if (this.kind !== kind || ((kind === 'data' || kind === 'zero-alloc') && this.host !== host + (runEnd - at))) break
      runEnd += bytes
    }
    this.kind = kind
    this.host = host
    this.bytes = Math.min(runEnd, end) - at
    return true
  }

  /** Reads the L2 slice that maps `at`. */
  async load(at: number): Promise<void> {
    const offset = this.sliceOffset(at)
    if (offset === 0) return
    this.#image.l2Cache.unpin(await this.#image.l2Cache.load(offset))
  }

  /** Host offset of the L2 slice that maps `at`; 0 if there is no L2 table. */
  sliceOffset(at: number): number {
    const cluster = Math.floor(at / this.#clusterSize)
    const l1Index = Math.floor(cluster / this.#l2Entries)
    const table = this.#tableOffset(l1Index)
    if (table === 0) return 0
    const index = cluster - l1Index * this.#l2Entries
    return table + (index - (index % this.#sliceEntries)) * this.#entrySize
  }

  /** Index of the entry of `at` in its slice. */
  indexInSlice(at: number): number {
    return Math.floor(at / this.#clusterSize) % this.#sliceEntries
  }

  /** Guest bytes that one slice maps. */
  get sliceCoverage(): number {
    return this.#sliceEntries * this.#clusterSize
  }

  /**
   * Checks all of one entry of a slice; for those who classify entries themselves.
   *
   * @throws BlockError `corrupt`
   */
  assertValid(slice: TableEntry, inSlice: number, cluster: number): void {
    if (!this.#extended) {
      this.#classify(slice, inSlice, cluster, 0)
      return
    }
    const at = inSlice * 16
    const hi = slice.view.getUint32(at)
    const lo = slice.view.getUint32(at + 4)
    if (hasInvalidSubclusters(this.#image.context, hi, lo, slice.view.getUint32(at + 12), slice.view.getUint32(at + 8))) {
      throw this.#invalidEntry(slice, inSlice)
    }
    if (classifyCluster(this.#image.context, hi, lo) === 'normal') this.#hostOffset(hi, lo, cluster, slice, inSlice)
  }

  #tableOffset(l1Index: number): number {
    const table = this.l1.tableOffset(l1Index)
    if (table === 0) return 0
    if (table % this.#clusterSize !== 0 || table > MAX_HOST_HI * 0x1_0000_0000) {
      throw this.#image.corruption.found(`L2 table offset ${hex(table)} unaligned (L1 index: ${hex(l1Index)})`)
    }
    return table
  }

  /** Classifies the part of one cluster that starts at `inCluster`; returns its length. */
  #classify(slice: TableEntry, inSlice: number, cluster: number, inCluster: number): number {
    const at = inSlice * this.#entrySize
    const hi = slice.view.getUint32(at)
    const lo = slice.view.getUint32(at + 4)
    if (this.#extended) return this.#extendedPart(slice, inSlice, hi, lo, cluster, inCluster)
    const length = this.#clusterSize - inCluster
    const kind = classifyCluster(this.#image.context, hi, lo)
    switch (kind) {
      case 'unallocated':
        this.kind = 'absent'
        return length
      case 'normal':
        this.kind = 'data'
        this.host = this.#hostOffset(hi, lo, cluster, slice, inSlice) + inCluster
        return length
      case 'compressed':
        return this.#compressed(hi, lo, length)
      case 'zero-plain':
      case 'zero-alloc':
        this.#assertZeroAllowed(slice, inSlice)
        this.kind = kind === 'zero-plain' ? 'zero' : 'zero-alloc'
        this.host = kind === 'zero-plain' ? 0 : this.#hostOffset(hi, lo, cluster, slice, inSlice, 'Preallocated zero cluster') + inCluster
        return length
    }
  }

  #extendedPart(slice: TableEntry, inSlice: number, hi: number, lo: number, cluster: number, inCluster: number): number {
    const { geometry, context } = this.#image
    const zero = slice.view.getUint32(inSlice * 16 + 8)
    const allocated = slice.view.getUint32(inSlice * 16 + 12)
    const subcluster = Math.floor(inCluster / geometry.subclusterSize)
    const kind = classifySubcluster(context, hi, lo, allocated, zero, subcluster)
    if (kind === 'compressed') return this.#compressed(hi, lo, this.#clusterSize - inCluster)
    const length = (subcluster + subclusterRun(allocated, zero, subcluster)) * geometry.subclusterSize - inCluster
    switch (kind) {
      case 'unallocated-plain':
      case 'unallocated-alloc':
        this.kind = 'absent'
        return length
      case 'zero-plain':
        this.kind = 'zero'
        this.host = 0
        return length
      case 'zero-alloc':
      case 'normal':
        this.kind = kind === 'normal' ? 'data' : 'zero-alloc'
        this.host = this.#hostOffset(hi, lo, cluster, slice, inSlice) + inCluster
        return length
      case 'invalid':
        throw this.#invalidEntry(slice, inSlice)
    }
  }

  #invalidEntry(slice: TableEntry, inSlice: number): Error {
    return this.#image.corruption.found(`Invalid cluster entry found  (L2 offset: ${hex(slice.offset)}, L2 index: ${hex(inSlice)})`)
  }

  #compressed(hi: number, lo: number, length: number): number {
    if (this.#image.context.externalData) {
      throw this.#image.corruption.found('Compressed cluster encountered in an image with an external data file')
    }
    this.kind = 'compressed'
    this.hi = hi
    this.lo = lo
    return length
  }

  #assertZeroAllowed(slice: TableEntry, inSlice: number): void {
    if (this.#image.version >= 3) return
    throw this.#image.corruption.found(`Zero cluster entry found in pre-v3 image (L2 offset: ${hex(slice.offset)}, L2 index: ${hex(inSlice)})`)
  }

  #hostOffset(hi: number, lo: number, cluster: number, slice: TableEntry, inSlice: number, what = 'Cluster allocation'): number {
    const host = l2HostOffset(hi, lo)
    if ((lo & this.#misaligned) !== 0 || (hi & 0x00ff_ffff) > MAX_HOST_HI) {
      throw this.#image.corruption.found(`${what} offset ${hex(host)} unaligned (L2 offset: ${hex(slice.offset)}, L2 index: ${hex(inSlice)})`)
    }
    if (this.#image.context.externalData && host !== cluster * this.#clusterSize) {
      throw this.#image.corruption.found(
        `External data file host cluster offset ${hex(host)} does not match guest cluster offset: ${hex(guestOffset(cluster * this.#clusterSize))}, L2 index: ${hex(inSlice)}`,
      )
    }
    return host
  }
}
