import { refcountEntryHasReservedBits } from '../on-disk/refcount.ts'
import type { Findings } from './findings.ts'
import { markRegion, reachesTooFar, tooFar, type Pass } from './pass.ts'
import { USE } from './reference-counts.ts'
import type { RefcountReader } from './refcount-reader.ts'

/**
 * Counts the refcount table and the refcount blocks, and checks that each block is used once. What is wrong with them
 * needs new ones: they cannot be repaired where they are. Blocks that are not there at all count nothing.
 *
 * @internal
 */
export function countRefcountStructures(pass: Pass, reader: RefcountReader, findings: Findings): void {
  const { refcountTableOffset, refcountTableClusters } = pass.area.header
  const { clusterSize } = pass.geometry
  const tableBytes = refcountTableClusters * clusterSize
  const problem = (line: string, isStray = false): void => {
    if (isStray) pass.lacksBlocks = true
    else pass.needsRebuild = true
    findings.corruption(line)
  }
  if (!reachesTooFar(pass, refcountTableOffset, tableBytes)) markRegion(pass, refcountTableOffset, tableBytes)
  else if (pass.first && tableBytes > 0) problem(tooFar(refcountTableOffset.toString(16), tableBytes))
  // What is counted from here on shall not be dropped again: each block is checked once, after it was counted.
  for (let index = 0; index < reader.entries; index++) {
    const offset = reader.blockOffset(index)
    if (offset !== 0 && offset < pass.fileLength) pass.counts.touch(Math.floor(offset / clusterSize))
  }
  for (let index = 0; index < reader.entries; index++) countBlock(pass, reader, index, problem)
}

function countBlock(pass: Pass, reader: RefcountReader, index: number, problem: (line: string, isStray?: boolean) => void): void {
  const { counts, first } = pass
  if (refcountEntryHasReservedBits(reader.table, index)) {
    if (first) problem(`ERROR refcount table entry ${index} has reserved bits set`)
    return
  }
  const offset = reader.blockOffset(index)
  if (offset === 0) return
  if (reader.isMisaligned(index)) {
    if (first) problem(`ERROR refcount block ${index} is not cluster aligned; refcount table entry corrupted`)
    return
  }
  const cluster = offset / pass.geometry.clusterSize
  if (cluster >= pass.clusters) {
    if (first) problem(`ERROR refcount block ${index} is outside image`, true)
    return
  }
  counts.add(cluster, 1, 1, USE.plain)
  if (cluster < counts.from || cluster >= counts.limit) return
  const uses = counts.get(cluster)
  if (uses !== 1) problem(`ERROR refcount block ${index} refcount=${uses}`)
}
