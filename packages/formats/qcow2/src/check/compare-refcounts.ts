import { MAX_HOST_OFFSET } from '../on-disk/limits.ts'
import { refcountCodec, type RefcountCodec } from '../on-disk/refcount.ts'
import type { Pass } from './pass.ts'
import { readTables, type TableContent } from './read-tables.ts'
import type { Findings } from './findings.ts'
import { NARROW_COUNT, ReferenceCounts, USE, WIDE_COUNT, type CountPage } from './reference-counts.ts'
import { exactRefcount, type RefcountReader } from './refcount-reader.ts'

/** Clusters of a block that cannot be read are told one by one, but not more than so many. */
const MAX_UNREADABLE_LINES = 65_536
/** A counter of one use, with COPIED. */
const HEALTHY = USE.copied * 0x40 + 1

/**
 * Called for a refcount that is not what was counted, with the block and the refcount's place in it: puts it right and
 * returns true, or returns false.
 *
 * @internal
 */
export type FixRefcount = (block: DataView, at: number, refcount: number, used: number) => boolean

/** How refcounts are put right. @internal */
export interface RefcountFixer {
  readonly fix: FixRefcount
  /** Called after each block in which `fix` has put something right. */
  readonly changed: (index: number, block: DataView) => Promise<void>
}

/**
 * Compares the refcounts in the image with the uses that were counted, for the clusters of this pass.
 *
 * Afterwards the counters no longer say how often a cluster is used, but whether its refcount is one: 1 or 0.
 *
 * @internal
 */
export async function compareRefcounts(pass: Pass, reader: RefcountReader, findings: Findings, fixer?: RefcountFixer): Promise<void> {
  const { geometry, file, fileLength, signal } = pass
  const compare = new Comparison(pass, findings, fixer?.fix)
  const indexes = blocksToCompare(pass, reader)
  const offsets = indexes.map((index) => (reader.blockOffset(index) > MAX_HOST_OFFSET ? MAX_HOST_OFFSET : reader.blockOffset(index)))
  const readable = (at: number): boolean => !reader.isUnreadable(indexes[at]!)
  // Where there is no block, something beyond the end stands for it: it reads as zeroes.
  for (let at = 0; at < offsets.length; at++) if (offsets[at] === 0 || !readable(at)) offsets[at] = MAX_HOST_OFFSET
  await readTables({ file, fileLength, signal }, offsets, geometry.clusterSize, (at, table) => {
    const index = indexes[at]!
    const fixed = compare.block(index, readable(at) ? table : 'unreadable')
    return fixed ? fixer!.changed(index, table as DataView) : undefined
  })
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
  readonly #findings: Findings
  readonly #fix: FixRefcount | undefined
  readonly #codec: RefcountCodec
  #unreadable = 0
  #fixed = 0

  constructor(pass: Pass, findings: Findings, fix: FixRefcount | undefined) {
    this.#pass = pass
    this.#findings = findings
    this.#fix = fix
    this.#codec = refcountCodec(pass.geometry.refcountBits)
  }

  /** Returns whether something was fixed in it. */
  block(index: number, table: TableContent): boolean {
    const { geometry, counts, clusters } = this.#pass
    const before = this.#fixed
    const start = index * geometry.refcountBlockEntries
    const end = Math.min(start + geometry.refcountBlockEntries, clusters, counts.limit)
    let from = Math.max(start, counts.from)
    if (table === 'unreadable') {
      this.#unreadableRange(from, end)
      return false
    }
    const { pageClusters } = ReferenceCounts
    while (from < end) {
      const page = Math.floor(from / pageClusters)
      const to = Math.min(end, (page + 1) * pageClusters)
      const uses = counts.page(page)
      if (table !== 'empty') this.#compare(from, to, table, start, uses, page * pageClusters)
      else if (uses !== undefined) this.#compareNone(from, to, uses, page * pageClusters)
      from = to
    }
    return this.#fixed > before
  }

  #compare(from: number, to: number, table: DataView, start: number, uses: CountPage | undefined, pageStart: number): void {
    const codec = this.#codec
    for (let cluster = from; cluster < to; cluster++) {
      cluster += this.#healthyRun(cluster, to, table, start, uses, pageStart)
      if (cluster === to) break
      const refcount = codec.get(table, cluster - start)
      const value = uses === undefined ? 0 : uses[cluster - pageStart]!
      if (refcount === 0 && value === 0) continue
      const used = value & (uses instanceof Uint32Array ? WIDE_COUNT : NARROW_COUNT)
      let stored = refcount
      if (refcount !== used) {
        const exact = exactRefcount(table, cluster - start, this.#pass.geometry)
        if (this.#fix?.(table, cluster - start, refcount, used) === true) {
          this.#fixed++
          stored = used
          this.#tellFixed(cluster, refcount, exact, used)
        } else this.#differ(cluster, refcount, exact, used)
      }
      this.#judge(cluster, stored, value, uses instanceof Uint32Array)
      if (uses !== undefined) uses[cluster - pageStart] = stored === 1 ? 1 : 0
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
    if (cluster > from && cluster - 1 > this.#findings.highestCluster) this.#findings.highestCluster = cluster - 1
    return cluster - from
  }

  #compareNone(from: number, to: number, uses: CountPage, pageStart: number): void {
    for (let cluster = from; cluster < to; cluster++) {
      const value = uses[cluster - pageStart]!
      if (value === 0) continue
      const used = value & (uses instanceof Uint32Array ? WIDE_COUNT : NARROW_COUNT)
      this.#judge(cluster, 0, value, uses instanceof Uint32Array)
      uses[cluster - pageStart] = 0
      if (used !== 0) this.#differ(cluster, 0, 0, used)
    }
  }

  /** Sees from a counter whether COPIED flags fit the refcount. */
  #judge(cluster: number, refcount: number, value: number, wide: boolean): void {
    if (cluster > this.#findings.highestCluster) this.#findings.highestCluster = cluster
    const flags = wide ? value >>> 30 : value >>> 6
    if (((flags & USE.copied) !== 0 && refcount !== 1) || ((flags & USE.shared) !== 0 && refcount === 1)) this.#pass.suspectsCopied = true
  }

  #differ(cluster: number, refcount: number, exact: number | bigint, used: number): void {
    const line = `cluster ${cluster} refcount=${exact} reference=${used}`
    if (refcount === 0) this.#pass.needsRebuild = true
    if (refcount < used) this.#findings.corruption(`ERROR ${line}`)
    else this.#findings.leak(`Leaked ${line}`)
  }

  #tellFixed(cluster: number, refcount: number, exact: number | bigint, used: number): void {
    const line = `Repairing cluster ${cluster} refcount=${exact} reference=${used}`
    if (refcount < used) this.#findings.corruptionFixed(line)
    else this.#findings.leakFixed(line)
  }

  #unreadableRange(from: number, end: number): void {
    const findings = this.#findings
    this.#pass.lacksBlocks = true
    for (let cluster = from; cluster < end; cluster++) {
      if (this.#unreadable++ === MAX_UNREADABLE_LINES) {
        findings.checkErrors += end - cluster
        return
      }
      findings.failure(`Can't get refcount for cluster ${cluster}: Input/output error`)
    }
  }
}
