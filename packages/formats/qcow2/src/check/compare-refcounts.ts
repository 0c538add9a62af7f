import { MAX_HOST_OFFSET } from '../on-disk/limits.ts'
import { refcountCodec, type RefcountCodec } from '../on-disk/refcount.ts'
import type { Pass } from './pass.ts'
import { readTables, type TableContent } from './read-tables.ts'
import { NARROW_COUNT, ReferenceCounts, USE, WIDE_COUNT, type CountPage } from './reference-counts.ts'
import { exactRefcount, type RefcountReader } from './refcount-reader.ts'

/** Clusters of a block that cannot be read are told one by one, but not more than so many. */
const MAX_UNREADABLE_LINES = 65_536
/** A counter of one use, with COPIED. */
const HEALTHY = USE.copied * 0x40 + 1

/**
 * Compares the refcounts in the image with the uses that were counted, for the clusters of this pass.
 *
 * Afterwards the counters no longer say how often a cluster is used, but whether its refcount is one: 1 or 0.
 *
 * @internal
 */
export async function compareRefcounts(pass: Pass, reader: RefcountReader): Promise<void> {
  const { geometry, file, fileLength, signal } = pass
  const compare = new Comparison(pass)
  const indexes = blocksToCompare(pass, reader)
  const offsets = indexes.map((index) => (reader.blockOffset(index) > MAX_HOST_OFFSET ? MAX_HOST_OFFSET : reader.blockOffset(index)))
  const readable = (at: number): boolean => !reader.isUnreadable(indexes[at]!)
  // Where there is no block, something beyond the end stands for it: it reads as zeroes.
  for (let at = 0; at < offsets.length; at++) if (offsets[at] === 0 || !readable(at)) offsets[at] = MAX_HOST_OFFSET
  await readTables({ file, fileLength, signal }, offsets, geometry.clusterSize, (at, table) =>
    compare.block(indexes[at]!, readable(at) ? table : 'unreadable'),
  )
}

/** Blocks that count something in this pass, by the image's refcounts or by ours; ascending. */
function blocksToCompare(pass: Pass, reader: RefcountReader): Float64Array {
  const { refcountBlockEntries } = pass.geometry
  const { counts } = pass
  const end = Math.min(counts.limit, pass.clusters)
  const found = new Set<number>()
  const last = Math.min(reader.entries, Math.ceil(end / refcountBlockEntries))
  for (let index = Math.floor(counts.from / refcountBlockEntries); index < last; index++) {
    if (reader.blockOffset(index) !== 0) found.add(index)
  }
  for (const page of counts.pageIndexes()) {
    const first = page * ReferenceCounts.pageClusters
    const behind = Math.min(first + ReferenceCounts.pageClusters, end)
    for (let index = Math.floor(first / refcountBlockEntries); index * refcountBlockEntries < behind; index++) found.add(index)
  }
  return Float64Array.from(found).sort()
}

class Comparison {
  readonly #pass: Pass
  readonly #codec: RefcountCodec
  #unreadable = 0

  constructor(pass: Pass) {
    this.#pass = pass
    this.#codec = refcountCodec(pass.geometry.refcountBits)
  }

  block(index: number, table: TableContent): void {
    const { geometry, counts, clusters } = this.#pass
    const start = index * geometry.refcountBlockEntries
    const end = Math.min(start + geometry.refcountBlockEntries, clusters, counts.limit)
    let from = Math.max(start, counts.from)
    if (table === 'unreadable') return this.#unreadableRange(from, end)
    const { pageClusters } = ReferenceCounts
    while (from < end) {
      const page = Math.floor(from / pageClusters)
      const to = Math.min(end, (page + 1) * pageClusters)
      const uses = counts.page(page)
      if (table !== 'empty') this.#compare(from, to, table, start, uses, page * pageClusters)
      else if (uses !== undefined) this.#compareNone(from, to, uses, page * pageClusters)
      from = to
    }
  }

  #compare(from: number, to: number, table: DataView, start: number, uses: CountPage | undefined, pageStart: number): void {
    const codec = this.#codec
    for (let cluster = from; cluster < to; cluster++) {
      cluster += this.#healthyRun(cluster, to, table, start, uses, pageStart)
      if (cluster === to) break
      const refcount = codec.get(table, cluster - start)
      const value = uses === undefined ? 0 : uses[cluster - pageStart]!
      if (refcount === 0 && value === 0) continue
      const used = this.#judge(cluster, refcount, value, uses instanceof Uint32Array)
      if (uses !== undefined) uses[cluster - pageStart] = refcount === 1 ? 1 : 0
      if (refcount !== used) this.#differ(cluster, refcount, exactRefcount(table, cluster - start, this.#pass.geometry), used)
    }
  }

  /** Skips clusters that nearly all images are full of: refcount one, used once, with COPIED. Returns how many. */
  #healthyRun(from: number, to: number, table: DataView, start: number, uses: CountPage | undefined, pageStart: number): number {
    if (!(uses instanceof Uint8Array) || this.#codec.bits !== 16) return 0
    let cluster = from
    while (cluster < to && uses[cluster - pageStart] === HEALTHY && table.getUint16((cluster - start) * 2) === 1) {
      uses[cluster - pageStart] = 1
      cluster++
    }
    const { findings } = this.#pass
    if (cluster > from && cluster - 1 > findings.highestCluster) findings.highestCluster = cluster - 1
    return cluster - from
  }

  #compareNone(from: number, to: number, uses: CountPage, pageStart: number): void {
    for (let cluster = from; cluster < to; cluster++) {
      const value = uses[cluster - pageStart]!
      if (value === 0) continue
      const used = this.#judge(cluster, 0, value, uses instanceof Uint32Array)
      uses[cluster - pageStart] = 0
      if (used !== 0) this.#differ(cluster, 0, 0, used)
    }
  }

  /** Takes a counter apart: returns the uses, and sees whether COPIED flags fit the refcount. */
  #judge(cluster: number, refcount: number, value: number, wide: boolean): number {
    const { findings } = this.#pass
    if (cluster > findings.highestCluster) findings.highestCluster = cluster
    const flags = wide ? value >>> 30 : value >>> 6
    if (((flags & USE.copied) !== 0 && refcount !== 1) || ((flags & USE.shared) !== 0 && refcount === 1)) this.#pass.suspectsCopied = true
    return value & (wide ? WIDE_COUNT : NARROW_COUNT)
  }

  #differ(cluster: number, refcount: number, exact: number | bigint, used: number): void {
    const { findings } = this.#pass
    const line = `cluster ${cluster} refcount=${exact} reference=${used}`
    if (refcount < used) findings.corruption(`ERROR ${line}`)
    else findings.leak(`Leaked ${line}`)
  }

  #unreadableRange(from: number, end: number): void {
    const { findings } = this.#pass
    for (let cluster = from; cluster < end; cluster++) {
      if (this.#unreadable++ === MAX_UNREADABLE_LINES) {
        findings.checkErrors += end - cluster
        return
      }
      findings.failure(`Can't get refcount for cluster ${cluster}: Input/output error`)
    }
  }
}
