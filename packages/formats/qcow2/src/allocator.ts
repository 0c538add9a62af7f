import { BlockError } from '@blockloom/block-driver'
import type { TableEntry } from '@blockloom/driver-kit'
import { MAX_HOST_OFFSET } from './on-disk/limits.ts'
import type { Overlap } from './overlap/overlap.ts'
import type { Refcounts } from './refcounts.ts'
import type { Geometry } from './units.ts'

/** Neighbouring host clusters that were free. @internal */
export interface Allocated {
  /** Index of the first host cluster. */
  readonly first: number
  readonly count: number
  /** Nothing was ever stored there: the file reads as zeroes. */
  readonly virgin: boolean
}

/** @internal */
export interface AllocatorInit {
  readonly geometry: Geometry
  readonly refcounts: Refcounts
  readonly overlap: Overlap
  /** Bytes of the file behind which nothing was ever stored; Infinity if that is not known. */
  readonly virginFrom: number
  /** Makes the refcount table larger. */
  readonly growTable: () => Promise<void>
}

/**
 * Finds free host clusters.
 *
 * {@link tryAllocate} is synchronous, so nobody can come between the search and the new refcounts, and there is no
 * lock. What it lacks (a refcount block in memory, room in the refcount table) is fetched by {@link prepare}; then the
 * caller tries again.
 *
 * @internal
 */
export class Allocator {
  #geometry: Geometry
  readonly #refcounts: Refcounts
  readonly #overlap: Overlap
  readonly #growTable: () => Promise<void>
  /** No cluster below is free. */
  #cursor = 0
  #virginFrom: number
  /** Where the next compressed data may start; 0 if it needs a new cluster. */
  #nextByte = 0

  constructor(init: AllocatorInit) {
    this.#geometry = init.geometry
    this.#refcounts = init.refcounts
    this.#overlap = init.overlap
    this.#growTable = init.growTable
    this.#virginFrom = init.virginFrom
  }

  /**
   * Allocates up to `want` neighbouring clusters with refcount 1: the first free run, shortened to `want`; with
   * `exact` the first run that is long enough.
   *
   * @returns `undefined` if {@link prepare} has to be called first
   * @throws BlockError `corrupt` if what looks free is not; `no-space` (EFBIG) at the format's limit
   */
  tryAllocate(want: number, exact = false): Allocated | undefined {
    const refcounts = this.#refcounts
    const { refcountBlockEntries } = this.#geometry
    let cluster = this.#cursor
    let run = 0
    let skipped = false
    for (;;) {
      const index = Math.floor(cluster / refcountBlockEntries)
      if (index >= refcounts.tableEntries) return !exact && run > 0 ? this.#take(cluster - run, run, skipped) : undefined
      if (refcounts.blockOffset(index) === 0) {
        if (!exact && run > 0) return this.#take(cluster - run, run, skipped)
        this.#overlap.assertAllocatable(cluster, 1)
        this.#use(cluster, 1)
        refcounts.createBlock(index, cluster)
        this.#overlap.addTable(cluster, 'refcount block')
        run = 0
        cluster++
        if (!skipped) this.#cursor = cluster
        continue
      }
      const slice = refcounts.slice(cluster)
      if (slice === undefined) return !exact && run > 0 ? this.#take(cluster - run, run, skipped) : undefined
      const end = cluster - (cluster % refcounts.perSlice) + refcounts.perSlice
      while (cluster < end) {
        const inSlice = cluster % refcounts.perSlice
        const free = refcounts.codec.zeroes(slice.view, inSlice, inSlice + Math.min(want - run, end - cluster))
        run += free
        cluster += free
        if (run === want) return this.#take(cluster - run, run, skipped)
        if (cluster === end) break
        if (run > 0) {
          if (!exact) return this.#take(cluster - run, run, skipped)
          // A hole that is too small stays for others.
          skipped = true
          run = 0
        }
        cluster++
      }
      if (!skipped && run === 0) this.#cursor = cluster
    }
  }

  /** Gets what {@link tryAllocate} lacked. */
  async prepare(want: number, exact = false): Promise<void> {
    const refcounts = this.#refcounts
    // The same walk, over what is cached.
    let cluster = this.#cursor
    let run = 0
    for (;;) {
      const index = Math.floor(cluster / this.#geometry.refcountBlockEntries)
      if (index >= refcounts.tableEntries) {
        await this.#growTable()
        return
      }
      const block = refcounts.blockOffset(index)
      const slice = refcounts.slice(cluster)
      if (block !== 0 && slice === undefined) {
        await refcounts.load(cluster)
        return
      }
      if (slice === undefined) return
      const end = cluster - (cluster % refcounts.perSlice) + refcounts.perSlice
      for (; cluster < end; cluster++) {
        run = refcounts.codec.get(slice.view, cluster % refcounts.perSlice) === 0 ? run + 1 : 0
        if (run === want || (!exact && run > 0)) return
      }
    }
  }

  /** {@link tryAllocate}, as often as it takes. */
  async allocate(want: number, exact = false): Promise<Allocated> {
    for (;;) {
      const allocated = this.tryAllocate(want, exact)
      if (allocated !== undefined) return allocated
      await this.prepare(want, exact)
    }
  }

  /**
   * Finds room for `bytes` bytes of compressed data, less than a cluster, behind other compressed data if possible. The
   * refcount of every host cluster that it touches goes up by one.
   *
   * @returns the host offset, or `undefined` if {@link prepareBytes} has to be called first
   */
  tryAllocateBytes(bytes: number): number | undefined {
    const { clusterSize } = this.#geometry
    const refcounts = this.#refcounts
    if (this.#nextByte !== 0) {
      const offset = this.#nextByte
      const cluster = Math.floor(offset / clusterSize)
      const left = (cluster + 1) * clusterSize - offset
      const refcount = refcounts.get(cluster)
      if (refcount === undefined) return undefined
      if (refcount > 0 && refcount < refcounts.codec.max) {
        if (bytes <= left) {
          refcounts.set(cluster, refcount + 1)
          this.#nextByte = bytes === left ? 0 : offset + bytes
          return offset
        }
        const next = refcounts.slice(cluster + 1)
        if (next !== undefined && refcounts.get(cluster + 1) === 0 && this.#overlap.find(cluster + 1, 1) === undefined) {
          refcounts.set(cluster, refcount + 1)
          this.#use(cluster + 1, 1)
          refcounts.set(cluster + 1, 1)
          this.#nextByte = offset + bytes
          return offset
        }
      }
    }
    const allocated = this.tryAllocate(1)
    if (allocated === undefined) return undefined
    const offset = allocated.first * clusterSize
    this.#nextByte = offset + bytes
    return offset
  }

  /** Gets what {@link tryAllocateBytes} lacked. */
  async prepareBytes(): Promise<void> {
    if (this.#nextByte !== 0) {
      const cluster = Math.floor(this.#nextByte / this.#geometry.clusterSize)
      if (this.#refcounts.get(cluster) === undefined) await this.#refcounts.load(cluster)
    }
    await this.prepare(1)
  }

  /** Clusters from `first` on were taken without asking. */
  used(first: number, count: number): void {
    this.#use(first, count)
  }

  /** A cluster is free again. */
  freed(cluster: number): void {
    this.leave(cluster)
    this.#cursor = Math.min(this.#cursor, cluster)
  }

  /** Refcounts have changed in many places; `lowest` is the lowest cluster that became free, Infinity if none did. */
  startOver(lowest: number): void {
    this.#nextByte = 0
    this.#cursor = Math.min(this.#cursor, lowest)
  }

  /** The refcounts have another width, and are in other places. */
  changeGeometry(geometry: Geometry): void {
    this.#geometry = geometry
  }

  /** No more compressed data is put into `cluster`: it is about to become free. */
  leave(cluster: number): void {
    if (Math.floor(this.#nextByte / this.#geometry.clusterSize) === cluster) this.#nextByte = 0
  }

  #take(first: number, count: number, keepCursor: boolean): Allocated {
    this.#overlap.assertAllocatable(first, count)
    const virgin = first * this.#geometry.clusterSize >= this.#virginFrom
    this.#use(first, count)
    const { perSlice } = this.#refcounts
    for (let at = first; at < first + count; ) {
      const end = Math.min(first + count, at - (at % perSlice) + perSlice)
      this.#refcounts.setRun(this.#refcounts.slice(at) as TableEntry, at, end - at, 1)
      at = end
    }
    if (!keepCursor) this.#cursor = first + count
    return { first, count, virgin }
  }

  /** Whatever happens to the clusters from now on, they are not known to be zeroes any more. */
  #use(first: number, count: number): void {
    const end = (first + count) * this.#geometry.clusterSize
    if (end > MAX_HOST_OFFSET) throw new BlockError('no-space', 'The image file cannot grow any further', { errno: 'EFBIG' })
    if (this.#virginFrom !== Infinity) this.#virginFrom = Math.max(this.#virginFrom, end)
  }
}
