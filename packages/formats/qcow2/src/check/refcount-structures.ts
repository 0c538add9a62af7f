import { refcountEntryHasReservedBits } from '../on-disk/refcount.ts'
import { markRegion, type Pass } from './pass.ts'
import { USE } from './reference-counts.ts'
import type { RefcountReader } from './refcount-reader.ts'

/** Counts the refcount table and the refcount blocks, and checks that each block is used once. @internal */
export function countRefcountStructures(pass: Pass, reader: RefcountReader): void {
  const { refcountTableOffset, refcountTableClusters } = pass.area.header
  const { clusterSize } = pass.geometry
  markRegion(pass, refcountTableOffset, refcountTableClusters * clusterSize)
  // What is counted from here on shall not be dropped again: each block is checked once, after it was counted.
  for (let index = 0; index < reader.entries; index++) {
    const offset = reader.blockOffset(index)
    if (offset !== 0 && offset < pass.fileLength) pass.counts.touch(Math.floor(offset / clusterSize))
  }
  for (let index = 0; index < reader.entries; index++) countBlock(pass, reader, index)
}

function countBlock(pass: Pass, reader: RefcountReader, index: number): void {
  const { findings, counts, first } = pass
  if (refcountEntryHasReservedBits(reader.table, index)) {
    if (first) findings.corruption(`ERROR refcount table entry ${index} has reserved bits set`)
    return
  }
  const offset = reader.blockOffset(index)
  if (offset === 0) return
  if (reader.isMisaligned(index)) {
    if (first) findings.corruption(`ERROR refcount block ${index} is not cluster aligned; refcount table entry corrupted`)
    return
  }
  const cluster = offset / pass.geometry.clusterSize
  if (cluster >= pass.clusters) {
    if (first) findings.corruption(`ERROR refcount block ${index} is outside image`)
    return
  }
  counts.add(cluster, 1, 1, USE.plain)
  if (cluster < counts.from || cluster >= counts.limit) return
  const uses = counts.get(cluster)
  if (uses !== 1) findings.corruption(`ERROR refcount block ${index} refcount=${uses}`)
}
