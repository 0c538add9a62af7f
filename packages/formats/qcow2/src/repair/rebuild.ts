import type { Findings } from '../check/findings.ts'
import type { Pass } from '../check/pass.ts'
import type { RefcountReader } from '../check/refcount-reader.ts'
import { USE } from '../check/reference-counts.ts'
import { eachPass, type Walk } from '../check/walk.ts'
import type { DecodedHeaderArea } from '../on-disk/header-area.ts'
import { maxRefcount, refcountEntryHasReservedBits } from '../on-disk/refcount.ts'
import type { FreedClusters } from './freed-clusters.ts'
import { NewRefcounts, type NewRefcountTable } from './new-refcounts.ts'

/** What the header leads to until it changes: none of it is overwritten. @internal */
export interface OldStructures {
  readonly area: DecodedHeaderArea
  readonly reader: RefcountReader
  /** Further parts of the file. */
  readonly regions: readonly { readonly offset: number; readonly length: number }[]
}

/**
 * Writes new refcount structures from the uses that a walk counts; the old ones are not among them. Nothing leads to the
 * new ones yet.
 *
 * @param findings - is told what becomes of the clusters of the old ones; null if nobody wants to know
 * @param freed - gets those that will be free
 * @internal
 */
export async function rebuildRefcounts(walk: Walk, old: OldStructures, findings: Findings | null, freed: FreedClusters): Promise<NewRefcountTable> {
  const made = new NewRefcounts(walk.file, walk.geometry)
  const oldClusters = clustersOfRefcounts(walk, old)
  await eachPass({ ...walk, reader: null }, {}, async (pass) => {
    noteOldClusters(pass, oldClusters, findings, freed)
    for (const cluster of oldClusters) pass.counts.add(cluster, 1, 0, USE.copied)
    for (const { offset, length } of old.regions) keep(pass, offset, length)
    await made.add(pass)
  })
  return made.finish()
}

/** Keeps a part of the file from being overwritten. */
function keep({ counts, geometry, fileLength }: Pass, offset: number, length: number): void {
  const { clusterSize } = geometry
  const first = Math.floor(offset / clusterSize)
  const end = Math.ceil(Math.min(offset + length, fileLength) / clusterSize)
  if (end > first) counts.add(first, end - first, 0, USE.copied)
}

/** Clusters of the old refcount table and blocks, as far as they are inside the file; ascending, and as often as they are used. */
function clustersOfRefcounts({ fileLength }: Walk, { area, reader }: OldStructures): Float64Array {
  const { clusterSize } = area.geometry
  const { refcountTableOffset, refcountTableClusters } = area.header
  const clusters: number[] = []
  for (let i = 0; i < refcountTableClusters; i++) {
    const offset = refcountTableOffset + i * clusterSize
    if (offset < fileLength) clusters.push(offset / clusterSize)
  }
  for (let index = 0; index < reader.entries; index++) {
    const offset = reader.blockOffset(index)
    if (offset === 0 || offset >= fileLength || reader.isUnreadable(index) || refcountEntryHasReservedBits(reader.table, index)) continue
    clusters.push(offset / clusterSize)
  }
  return Float64Array.from(clusters).sort()
}

/** As the reference, which first counts the old structures too, and then frees them. */
function noteOldClusters({ counts, geometry }: Pass, clusters: Float64Array, findings: Findings | null, freed: FreedClusters): void {
  const max = maxRefcount(geometry.refcountBits)
  for (let i = 0; i < clusters.length; ) {
    const cluster = clusters[i]!
    let times = 0
    for (; clusters[i] === cluster; i++) times++
    if (cluster < counts.from || cluster >= counts.limit) continue
    const uses = counts.get(cluster)
    if (uses === 0) freed.add(cluster)
    findings?.note(`Repairing cluster ${cluster} refcount=${Math.min(max, uses + times)} reference=${uses}`)
  }
}
