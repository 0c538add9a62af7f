import { hexOf } from '../on-disk/integers.ts'
import { classifyCluster, l2HasReservedBits, l2HostOffset } from '../on-disk/l2.ts'
import { compressedLength, compressedOffset } from '../on-disk/l2-compressed.ts'
import { subclustersAllocated, subclustersZero } from '../on-disk/l2-subclusters.ts'
import { markCluster, markRegion, type Pass } from './pass.ts'

/**
 * Counts the clusters that an L2 table names and checks its entries.
 *
 * @param times - how often the table is in use
 * @param activeTimes - how often by the guest's disk as it is now: only that counts as allocated
 * @internal
 */
export function countL2(pass: Pass, table: DataView, times: number, activeTimes: number): void {
  const { geometry, fileLength } = pass
  const { clusterSize, l2EntrySize, l2Entries, extendedL2 } = geometry
  const { externalData } = pass.area.header.features
  const context = { extendedL2, externalData }
  let allocated = 0
  let fragmented = 0
  let compressed = 0
  // 0 = nothing allocated yet in this table.
  let contiguous = 0
  for (let index = 0; index < l2Entries; index++) {
    const hi = table.getUint32(index * l2EntrySize)
    const lo = table.getUint32(index * l2EntrySize + 4)
    if (hi === 0 && lo === 0 && !extendedL2) continue
    const kind = classifyCluster(context, hi, lo)
    if (kind === 'compressed') {
      if (countCompressed(pass, table, index, times)) {
        allocated++
        compressed++
        // Compressed clusters are fragmented by nature: one is never a whole cluster.
        fragmented++
      }
      continue
    }
    // With extended entries bit 0 is reserved too, but the reference does not look at it.
    if (pass.first && l2HasReservedBits(false, hi, lo)) {
      pass.findings.corruption(`ERROR found l2 entry with reserved bits set: ${hexOf({ hi, lo })}`, times)
    }
    if (kind === 'zero-plain' || kind === 'unallocated') {
      if (extendedL2 && pass.first && kind === 'unallocated' && subclustersAllocated(table, index) !== 0) {
        pass.findings.corruption('ERROR: Unallocated cluster has non-zero subcluster allocation map', times)
      }
      continue
    }
    const offset = l2HostOffset(hi, lo)
    if (pass.first) checkData(pass, table, index, offset, kind === 'normal', times)
    allocated++
    if (contiguous !== 0 && offset !== contiguous) fragmented++
    contiguous = offset + clusterSize
    if (externalData) continue
    const cluster = offset / clusterSize
    if (Number.isInteger(cluster) && contiguous <= fileLength) markCluster(pass, cluster, times)
    else markRegion(pass, offset, clusterSize, times)
  }
  if (!pass.first) return
  pass.findings.allocatedClusters += allocated * activeTimes
  pass.findings.fragmentedClusters += fragmented * activeTimes
  pass.findings.compressedClusters += compressed * activeTimes
}

/** Checks an entry with a host cluster. */
function checkData(pass: Pass, table: DataView, index: number, offset: number, normal: boolean, times: number): void {
  const { geometry, findings } = pass
  let data = normal
  if (geometry.extendedL2) {
    const allocated = subclustersAllocated(table, index)
    data = allocated !== 0
    if ((allocated & subclustersZero(table, index)) !== 0) {
      findings.corruption(`ERROR offset=${offset.toString(16)}: Allocated cluster has corrupted subcluster allocation bitmap`, times)
    }
  }
  if (offset % geometry.clusterSize === 0) return
  const what = data ? 'Data' : 'Preallocated'
  findings.corruption(`ERROR offset=${offset.toString(16)}: ${what} cluster is not properly aligned; L2 entry corrupted.`, times)
}

/** Checks and counts a compressed cluster; false if it is not allowed there at all. */
function countCompressed(pass: Pass, table: DataView, index: number, times: number): boolean {
  const { geometry, findings, first } = pass
  const hi = table.getUint32(index * geometry.l2EntrySize)
  const lo = table.getUint32(index * geometry.l2EntrySize + 4)
  const hex = (): string => hexOf({ hi: hi & (2 ** (geometry.compressedOffsetBits - 32) - 1), lo })
  // Told without the flag that the line before complained about.
  const entry = hexOf({ hi: hi & 0x7fff_ffff, lo })
  if (first && hi >= 0x8000_0000) {
    const line = `ERROR: coffset=0x${hex()}: copied flag must never be set for compressed clusters`
    findings.corruption(line, times)
  }
  if (pass.area.header.features.externalData) {
    if (first) findings.corruption(`ERROR compressed cluster ${index} with data file, entry=0x${entry}`, times)
    return false
  }
  if (geometry.extendedL2 && (subclustersAllocated(table, index) !== 0 || subclustersZero(table, index) !== 0)) {
    if (first) {
      findings.corruption(`ERROR compressed cluster ${index} with non-zero subcluster allocation bitmap, entry=0x${entry}`, times)
    }
    return false
  }
  const offset = compressedOffset(geometry, hi, lo)
  markRegion(pass, offset, compressedLength(geometry, hi, lo), times, offset > Number.MAX_SAFE_INTEGER ? hex() : undefined)
  return true
}
