import type { Geometry } from './units.ts'

/** A run of host clusters: the first and how many. @internal */
export interface ClusterRun {
  readonly first: number
  readonly count: number
}

/**
 * Decides where everything of a new image lies, before anything is written: hands out host clusters and places the
 * refcount blocks and the refcount table that count them. Counts in clusters.
 *
 * It places things where qemu-img 7.2 does: a refcount block behind the clusters that first need it; a refcount table
 * that is too small moves, half as large again as needed, to the start of a range that a new refcount block counts.
 *
 * @internal
 */
export class ClusterLayout {
  readonly #geometry: Geometry
  /** Place of the refcount block for each index; 0 = none. */
  readonly #blocks: number[] = []
  #table: ClusterRun = { first: 1, count: 1 }
  /** Unused runs below `#end`, ascending. */
  readonly #gaps: { first: number; count: number }[] = []
  /** Behind the last used cluster. */
  #end = 3
  /** Where the search for free clusters starts. */
  #cursor = 3

  /** The first three clusters: header, refcount table, refcount block. */
  constructor(geometry: Geometry) {
    this.#geometry = geometry
    this.#blocks[0] = 2
  }

  /** Clusters of the refcount table. */
  get table(): ClusterRun {
    return this.#table
  }

  /** Places of the refcount blocks by index; 0 = none. */
  get blocks(): readonly number[] {
    return this.#blocks
  }

  /** Behind the last used cluster. */
  get end(): number {
    return this.#end
  }

  /** Clusters below `end` that nothing uses; all others have refcount 1. */
  get gaps(): readonly ClusterRun[] {
    return this.#gaps
  }

  /** Takes `count` clusters in a row. */
  allocate(count: number): number {
    for (;;) {
      const first = this.#take(count)
      const table = this.#table
      for (let index = this.#blockOf(first); index <= this.#blockOf(first + count - 1); index++) this.#needBlock(index)
      if (table === this.#table) return first
      // The table moved: like the reference, look again, for what it left may be large enough.
      this.#release({ first, count })
      this.#cursor = Math.min(this.#cursor, table.first)
    }
  }

  /**
   * Places all refcount structures for `later` more clusters, together and in front of them, and takes `data` clusters
   * behind. What comes after needs no further refcount block.
   */
  reserve(data: number, later: number): number {
    const { tableEntriesPerCluster } = this.#geometry
    const first = this.#end
    let blocks = 0
    let table = 0
    for (;;) {
      const last = this.#blockOf(first + blocks + table + data + later - 1)
      const missing = last + 1 - this.#blocksUpTo(last)
      const needed = Math.ceil((last + 1) / tableEntriesPerCluster)
      if (missing === blocks && needed === table) break
      blocks = missing
      table = needed
    }
    this.#end = first + blocks + table + data
    const old = this.#table
    this.#table = { first: first + blocks, count: table }
    let place = first
    for (let index = 0; place < first + blocks; index++) {
      if (!this.#blocks[index]) this.#blocks[index] = place++
    }
    this.#release(old)
    this.#cursor = Math.min(this.#cursor, old.first)
    return first + blocks + table
  }

  #blocksUpTo(last: number): number {
    let found = 0
    for (let index = 0; index <= last; index++) if (this.#blocks[index]) found++
    return found
  }

  #blockOf(cluster: number): number {
    return Math.floor(cluster / this.#geometry.refcountBlockEntries)
  }

  #needBlock(index: number): void {
    if (this.#blocks[index]) return
    const place = this.#take(1)
    // Before its own block: a block may count itself.
    this.#blocks[index] = place
    if (this.#blockOf(place) !== index) this.#needBlock(this.#blockOf(place))
    if (index >= this.#table.count * this.#geometry.tableEntriesPerCluster) this.#growTable(index)
  }

  #growTable(index: number): void {
    const { refcountBlockEntries, tableEntriesPerCluster } = this.#geometry
    const firstBlock = Math.max(index + 1, Math.ceil(this.#end / refcountBlockEntries))
    const first = firstBlock * refcountBlockEntries
    // The reference counts each refcount block itself as a cluster of this range, and so do we.
    let blocks = 0
    let table = 0
    for (;;) {
      const needed = Math.ceil((firstBlock + blocks + table) / refcountBlockEntries)
      if (needed === blocks) break
      blocks = needed
      table = Math.ceil(Math.ceil((firstBlock + blocks) * 1.5) / tableEntriesPerCluster)
    }
    if (first > this.#end) this.#release({ first: this.#end, count: first - this.#end })
    this.#end = first + blocks + table
    for (let i = 0; i < blocks; i++) this.#blocks[firstBlock + i] = first + i
    this.#release(this.#table)
    this.#table = { first: first + blocks, count: table }
  }

  /** The first free run at or behind the cursor; the cursor moves behind it. */
  #take(count: number): number {
    for (let i = 0; i < this.#gaps.length; i++) {
      const gap = this.#gaps[i]!
      const from = Math.max(gap.first, this.#cursor)
      if (gap.first + gap.count - from < count) continue
      this.#cursor = from + count
      const behind = gap.first + gap.count - this.#cursor
      if (behind > 0) this.#gaps.splice(i + 1, 0, { first: this.#cursor, count: behind })
      gap.count = from - gap.first
      if (gap.count === 0) this.#gaps.splice(i, 1)
      return from
    }
    const first = Math.max(this.#end, this.#cursor)
    this.#end = first + count
    this.#cursor = this.#end
    return first
  }

  #release(run: ClusterRun): void {
    const at = this.#gaps.findIndex((gap) => gap.first > run.first)
    const index = at === -1 ? this.#gaps.length : at
    this.#gaps.splice(index, 0, { ...run })
    this.#join(index)
    this.#join(index - 1)
  }

  /** Makes one gap of two that touch. */
  #join(index: number): void {
    const gap = this.#gaps[index]
    const next = this.#gaps[index + 1]
    if (gap === undefined || next === undefined || gap.first + gap.count !== next.first) return
    gap.count += next.count
    this.#gaps.splice(index + 1, 1)
  }
}
