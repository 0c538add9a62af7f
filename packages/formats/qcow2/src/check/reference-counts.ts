/** Clusters that one page counts. */
const PAGE_CLUSTERS = 4096
/** What a page costs besides its array. */
const PAGE_OVERHEAD = 256
/** Memory for counters. */
const MAX_BYTES = 128 * 1024 * 1024

type Page = Uint8Array | Uint32Array

/**
 * How often each host cluster is used, for the clusters from `from` up to, not including, `limit`.
 *
 * Memory follows what is used, and has a bound: if it is reached, `limit` is lowered, and clusters from there on are
 * left to a later pass. Counts end at 2^32 - 1.
 *
 * @internal
 */
export class ReferenceCounts {
  readonly from: number
  /** Never rises. */
  limit = Infinity
  readonly #max: number
  readonly #maxBytes: number
  readonly #pages = new Map<number, Page>()
  #bytes = 0
  #lastIndex = -1
  #last: Page | undefined

  /** `max`: the largest refcount that the image can store. */
  constructor(from: number, max: number, maxBytes = MAX_BYTES) {
    this.from = from
    this.#max = Math.min(max, 0xffff_ffff)
    this.#maxBytes = maxBytes
  }

  /** Adds `times` uses of a cluster; returns how many of them exceed what the image can store. */
  add(cluster: number, times: number): number {
    if (cluster < this.from || cluster >= this.limit) return 0
    const index = Math.floor(cluster / PAGE_CLUSTERS)
    const page = this.#pageAt(index)
    if (page === undefined) return 0
    const at = cluster - index * PAGE_CLUSTERS
    const sum = page[at]! + times
    if (sum < 256 && sum <= this.#max) {
      page[at] = sum
      return 0
    }
    const stored = Math.min(sum, this.#max)
    if (stored < 256) page[at] = stored
    else this.#storeLarge(index, page, at, stored)
    return sum - stored
  }

  /** Uses of a cluster; 0 outside `from` to `limit`. */
  get(cluster: number): number {
    const index = Math.floor(cluster / PAGE_CLUSTERS)
    return this.page(index)?.[cluster - index * PAGE_CLUSTERS] ?? 0
  }

  /** Makes sure that adding to a cluster does not lower `limit` any more. */
  touch(cluster: number): void {
    if (cluster >= this.from && cluster < this.limit) this.#pageAt(Math.floor(cluster / PAGE_CLUSTERS))
  }

  /** The counters of the clusters from `index * PAGE_CLUSTERS` on, if any of them was added to. */
  page(index: number): Page | undefined {
    if (index === this.#lastIndex) return this.#last
    const page = this.#pages.get(index)
    if (page === undefined) return undefined
    this.#lastIndex = index
    this.#last = page
    return page
  }

  /** Indexes of the pages there are, ascending. */
  pageIndexes(): Float64Array {
    return Float64Array.from(this.#pages.keys()).sort()
  }

  static readonly pageClusters = PAGE_CLUSTERS

  #pageAt(index: number): Page | undefined {
    const found = this.page(index)
    if (found !== undefined) return found
    const page = new Uint8Array(PAGE_CLUSTERS)
    this.#pages.set(index, page)
    this.#lastIndex = index
    this.#last = page
    this.#account(PAGE_CLUSTERS + PAGE_OVERHEAD)
    return this.#pages.get(index)
  }

  #storeLarge(index: number, page: Page, at: number, value: number): void {
    if (page instanceof Uint32Array) {
      page[at] = value
      return
    }
    const wide = Uint32Array.from(page)
    wide[at] = value
    this.#pages.set(index, wide)
    this.#lastIndex = index
    this.#last = wide
    this.#account(3 * PAGE_CLUSTERS)
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
    this.#lastIndex = -1
    this.#last = undefined
  }
}
