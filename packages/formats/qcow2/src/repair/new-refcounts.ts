import { BlockError, type ChildHandle } from '@blockloom/block-driver'
import type { Pass } from '../check/pass.ts'
import { ReferenceCounts } from '../check/reference-counts.ts'
import { MAX_REFCOUNT_TABLE_BYTES } from '../on-disk/limits.ts'
import { refcountCodec, setRefcountBlockOffset } from '../on-disk/refcount.ts'
import { viewOf } from '../on-disk/integers.ts'
import type { Geometry } from '../units.ts'
import { Spare } from './spare.ts'

/** Where the new refcount table is. @internal */
export interface NewRefcountTable {
  readonly offset: number
  readonly clusters: number
}

/**
 * Writes a refcount table and blocks from the uses that were counted, to places that nothing uses: holes in the file if
 * there are any, else behind its end. Nothing leads to them yet.
 *
 * It is fed pass by pass, in order, and remembers only where the blocks are.
 *
 * @internal
 */
export class NewRefcounts {
  readonly #file: ChildHandle
  readonly #geometry: Geometry
  /** Clusters of the blocks by their index in the table. */
  readonly #blocks = new Map<number, number>()
  /** Blocks without any content on disk. */
  readonly #fresh = new Set<number>()
  readonly #taken: { readonly first: number; readonly count: number }[] = []
  #behind: Spare | undefined
  #table: { readonly first: number; readonly clusters: number } | undefined

  constructor(file: ChildHandle, geometry: Geometry) {
    this.#file = file
    this.#geometry = geometry
  }

  /** Takes the counts of a pass; what must not be overwritten although it is not counted carries a flag. */
  async add(pass: Pass): Promise<void> {
    const { counts, clusters } = pass
    // Less than a cluster behind the end there may be something that a later pass counts.
    this.#behind ??= new Spare(counts.limit === Infinity ? clusters : clusters + 1)
    for (const { first, count } of this.#taken) counts.add(first, count, 1, 0)
    const holes = new Holes(counts, clusters)
    this.#placeBlocks(counts, holes)
    if (counts.limit === Infinity && this.#table === undefined) {
      this.#table = this.#placeTable(counts, holes)
      this.#placeBlocks(counts, holes)
      if (this.#highestBlock() >= this.#table.clusters * this.#geometry.tableEntriesPerCluster) throw tooLarge()
    }
    for (const index of [...this.#blocks.keys()].sort((a, b) => a - b)) await this.#writeBlock(counts, index)
  }

  /** Writes the table and flushes. */
  async finish(): Promise<NewRefcountTable> {
    const { clusterSize } = this.#geometry
    const { first, clusters } = this.#table!
    const table = new Uint8Array(clusters * clusterSize)
    for (const [index, cluster] of this.#blocks) setRefcountBlockOffset(viewOf(table), index, cluster * clusterSize)
    await this.#file.write(first * clusterSize, table)
    await this.#file.flush('stable')
    return { offset: first * clusterSize, clusters }
  }

  /** Gives a place to each block that counts something; those places are counted too. */
  #placeBlocks(counts: ReferenceCounts, holes: Holes): void {
    for (;;) {
      const missing = this.#missing(counts)
      if (missing.length === 0) return
      for (const index of missing) {
        const cluster = holes.take(1) ?? this.#behind!.take(1)
        this.#blocks.set(index, cluster)
        this.#fresh.add(index)
        this.#take(counts, cluster, 1)
      }
    }
  }

  #missing(counts: ReferenceCounts): number[] {
    const { refcountBlockEntries: entries } = this.#geometry
    const missing: number[] = []
    for (const page of counts.pageIndexes()) {
      const first = page * ReferenceCounts.pageClusters
      for (let at = first; at < first + ReferenceCounts.pageClusters; ) {
        const index = Math.floor(at / entries)
        const end = Math.min(first + ReferenceCounts.pageClusters, (index + 1) * entries)
        if (!this.#blocks.has(index) && missing.at(-1) !== index && hasUses(counts, at, end)) missing.push(index)
        at = end
      }
    }
    return missing
  }

  #take(counts: ReferenceCounts, first: number, count: number): void {
    counts.add(first, count, 1, 0)
    this.#taken.push({ first, count })
  }

  #placeTable(counts: ReferenceCounts, holes: Holes): { readonly first: number; readonly clusters: number } {
    const most = MAX_REFCOUNT_TABLE_BYTES / this.#geometry.clusterSize
    const wanted = this.#tableClusters()
    const clusters = Math.min(wanted, most)
    // A file that is longer than any refcount table can count may have room further down.
    const first = holes.take(clusters) ?? (wanted > most ? undefined : this.#behind!.take(clusters))
    if (first === undefined) throw tooLarge()
    this.#take(counts, first, clusters)
    return { first, clusters }
  }

  /** Clusters of a table that has room for all blocks, also for those that count itself and each other behind the end of the file. */
  #tableClusters(): number {
    const { refcountBlockEntries: entries, tableEntriesPerCluster } = this.#geometry
    const highest = this.#highestBlock()
    let clusters = 1
    for (;;) {
      const end = this.#behind!.next + clusters + 2 * Math.ceil(clusters / entries) + 4
      const wanted = Math.ceil((Math.max(highest, Math.floor(end / entries)) + 1) / tableEntriesPerCluster)
      if (wanted <= clusters) return clusters
      clusters = wanted
    }
  }

  #highestBlock(): number {
    let highest = 0
    for (const index of this.#blocks.keys()) highest = Math.max(highest, index)
    return highest
  }

  /** The part of a block that this pass knows. */
  async #writeBlock(counts: ReferenceCounts, index: number): Promise<void> {
    const { refcountBlockEntries: entries, refcountBits, clusterSize } = this.#geometry
    const start = index * entries
    const from = Math.max(start, counts.from)
    const to = Math.min(start + entries, counts.limit)
    const place = this.#blocks.get(index)! * clusterSize
    if (from >= to) return
    const isWhole = from === start && to === start + entries
    if (!isWhole && this.#fresh.has(index)) await this.#file.write(place, new Uint8Array(clusterSize))
    this.#fresh.delete(index)
    const bytes = new Uint8Array(((to - from) * refcountBits) / 8)
    const view = viewOf(bytes)
    const codec = refcountCodec(refcountBits)
    for (let cluster = from; cluster < to; cluster++) {
      const uses = counts.get(cluster)
      if (uses > 0) codec.set(view, cluster - from, uses)
    }
    await this.#file.write(place + ((from - start) * refcountBits) / 8, bytes)
  }
}

function tooLarge(): BlockError {
  return new BlockError('corrupt', 'The image file is too large for a refcount table', { errno: 'EFBIG', detail: { field: 'refcount_table_clusters' } })
}

function hasUses(counts: ReferenceCounts, from: number, to: number): boolean {
  for (let cluster = from; cluster < to; cluster++) if (counts.get(cluster) > 0) return true
  return false
}

/** Clusters of the file that nothing uses, among those that a pass counted. */
class Holes {
  readonly #counts: ReferenceCounts
  readonly #end: number
  #cursor: number

  constructor(counts: ReferenceCounts, clusters: number) {
    this.#counts = counts
    this.#end = clusters
    this.#cursor = counts.from
  }

  /** The first of `count` neighbouring ones. */
  take(count: number): number | undefined {
    const end = Math.min(this.#end, this.#counts.limit)
    let run = 0
    for (let cluster = this.#cursor; cluster < end; cluster++) {
      run = this.#counts.isFree(cluster) ? run + 1 : 0
      if (run < count) continue
      if (count === 1) this.#cursor = cluster + 1
      return cluster + 1 - count
    }
    if (count === 1) this.#cursor = end
    return undefined
  }
}
