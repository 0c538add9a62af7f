/** Clusters that one page counts. */
const PAGE_CLUSTERS = 4096
/** What a page costs besides its array. */
const PAGE_OVERHEAD = 256
/** Memory for counters. */
const MAX_BYTES = 128 * 1024 * 1024

/** Counters of {@link PAGE_CLUSTERS} clusters: bytes as long as that is enough. @internal */
export type CountPage = Uint8Array | Uint32Array

/** How an active table refers to a cluster, besides that it does: as two bits above the count. @internal */
export const USE = Object.freeze({
  /** It does not matter. */
  plain: 0,
  /** With COPIED set: the refcount should be one. */
  copied: 1,
  /** With COPIED clear: the refcount should not be one. */
  shared: 2,
})

/** Bits of the count in a page of bytes, and in a wide one. @internal */
export const NARROW_COUNT = 0x3f
/** See {@link NARROW_COUNT}. @internal */
export const WIDE_COUNT = 0x3fff_ffff

/**
 * How often each host cluster is used, and whether by entries with COPIED set or clear, for the clusters from `from`
 * up to, not including, `limit`.
 *
 * Memory follows what is used, and has a bound: if it is reached, `limit` is lowered, and clusters from there on are
 * left to a later pass. Counts end at 2^30 - 1.
 *
 * @internal
 */
export class ReferenceCounts {
  static readonly pageClusters = PAGE_CLUSTERS

  readonly from: number
  /** Never rises. */
  limit = Infinity
  readonly #max: number
  readonly #maxBytes: number
  readonly #excess: (cluster: number, times: number) => void
  readonly #pages = new Map<number, CountPage>()
  #bytes = 0

  /**
   * @param max - the largest refcount that the image can store
   * @param excess - told how many uses of a cluster are more than that
   */
  constructor(from: number, max: number, excess: (cluster: number, times: number) => void, maxBytes = MAX_BYTES) {
    this.from = from
    this.#max = Math.min(max, WIDE_COUNT)
    this.#excess = excess
    this.#maxBytes = maxBytes
  }

  /** Adds `times` uses, 1 or more, to each of `count` clusters. `use` is one of {@link USE}. */
  add(first: number, count: number, times: number, use: number): void {
    let cluster = Math.max(first, this.from)
    while (cluster < Math.min(first + count, this.limit)) {
      const index = Math.floor(cluster / PAGE_CLUSTERS)
      const start = index * PAGE_CLUSTERS
      const end = Math.min(first + count, this.limit, start + PAGE_CLUSTERS) - start
      const page = this.#pageAt(index)
      let at = cluster - start
      if (page instanceof Uint8Array) {
        const most = Math.min(NARROW_COUNT, this.#max) - times
        const flag = use * 0x40
        for (; at < end; at++) {
          const value = page[at]!
          if ((value & NARROW_COUNT) > most) break
          page[at] = (value + times) | flag
        }
      }
      if (at < end) this.#addSlowly(start, at++, times, use)
      cluster = start + at
    }
  }

  /** Uses of a cluster; 0 outside `from` to `limit`. */
  get(cluster: number): number {
    const index = Math.floor(cluster / PAGE_CLUSTERS)
    const page = this.#pages.get(index)
    return page === undefined ? 0 : countOf(page, cluster - index * PAGE_CLUSTERS)
  }

  /** True if a use with the flag `USE.copied` was added. */
  isMarked(cluster: number): boolean {
    const index = Math.floor(cluster / PAGE_CLUSTERS)
    const page = this.#pages.get(index)
    if (page === undefined) return false
    const flags = page[cluster - index * PAGE_CLUSTERS]! >>> (page instanceof Uint8Array ? 6 : 30)
    return (flags & USE.copied) !== 0
  }

  /** True if nothing at all was added. */
  isFree(cluster: number): boolean {
    const index = Math.floor(cluster / PAGE_CLUSTERS)
    return (this.#pages.get(index)?.[cluster - index * PAGE_CLUSTERS] ?? 0) === 0
  }

  /** Makes sure that adding to a cluster does not lower `limit` any more. */
  touch(cluster: number): void {
    if (cluster >= this.from && cluster < this.limit) this.#pageAt(Math.floor(cluster / PAGE_CLUSTERS))
  }

  /** The counters of the clusters from `index * PAGE_CLUSTERS` on, if any of them was added to. */
  page(index: number): CountPage | undefined {
    return this.#pages.get(index)
  }

  /** Indexes of the pages there are, ascending. */
  pageIndexes(): Float64Array {
    return Float64Array.from(this.#pages.keys()).sort()
  }

  #addSlowly(start: number, at: number, times: number, use: number): void {
    const index = start / PAGE_CLUSTERS
    const page = this.#pages.get(index)
    // Dropped, when a page before it became wide.
    if (page === undefined) return
    const sum = countOf(page, at) + times
    const stored = Math.min(sum, this.#max)
    const wide = page instanceof Uint8Array && stored <= NARROW_COUNT ? page : this.#widen(index, page)
    const flags = use * (wide instanceof Uint8Array ? 0x40 : 0x4000_0000)
    wide[at] = ((wide[at]! - countOf(wide, at) + stored) | flags) >>> 0
    if (sum > stored) this.#excess(start + at, sum - stored)
  }

  #pageAt(index: number): CountPage {
    const found = this.#pages.get(index)
    if (found !== undefined) return found
    const page = new Uint8Array(PAGE_CLUSTERS)
    this.#pages.set(index, page)
    this.#account(PAGE_CLUSTERS + PAGE_OVERHEAD)
    return page
  }

  #widen(index: number, page: CountPage): Uint32Array {
    if (page instanceof Uint32Array) return page
    const wide = new Uint32Array(PAGE_CLUSTERS)
    for (let i = 0; i < PAGE_CLUSTERS; i++) wide[i] = (page[i]! & NARROW_COUNT) + (page[i]! >>> 6) * 0x4000_0000
    this.#pages.set(index, wide)
    this.#account(3 * PAGE_CLUSTERS)
    return wide
  }

  #account(bytes: number): void {
    this.#bytes += bytes
    if (this.#bytes <= this.#maxBytes || this.#pages.size < 2) return
    const indexes = this.pageIndexes()
    const middle = indexes[indexes.length >> 1]!
    this.limit = middle * PAGE_CLUSTERS
    for (const [index, page] of this.#pages) {
      if (index < middle) continue
      this.#pages.delete(index)
      this.#bytes -= page.byteLength + PAGE_OVERHEAD
    }
  }
}

function countOf(page: CountPage, at: number): number {
  return page[at]! & (page instanceof Uint8Array ? NARROW_COUNT : WIDE_COUNT)
}
