import { BlockError, isBlockError, type CheckOptions, type CheckResult } from '@blockloom/block-driver'
import { maxRefcount } from '../on-disk/refcount.ts'
import { countBitmaps, readCheckedBitmaps } from './bitmaps.ts'
import { compareRefcounts } from './compare-refcounts.ts'
import { checkCopiedFlags } from './copied-flags.ts'
import { countL2 } from './count-l2.ts'
import { Findings } from './findings.ts'
import { countL1, L2Tables } from './l2-tables.ts'
import { markRegion, tellExcess, type CheckSource, type Pass } from './pass.ts'
import { ReferenceCounts } from './reference-counts.ts'
import { RefcountReader } from './refcount-reader.ts'
import { countRefcountStructures } from './refcount-structures.ts'
import { readCheckedSnapshots, snapshotL1s, type CheckedSnapshots } from './snapshots.ts'

/** Images are as long as whole sectors. */
const SECTOR_SIZE = 512

/**
 * Checks the consistency of an image: walks everything that uses clusters and compares with the refcounts. Counts and
 * lines are those of `qemu-img check` 7.2, except that the same problem of a table that several snapshots share is
 * told once (but counted as often as they do).
 *
 * Memory stays below 256 MiB whatever the image says: with very many clusters it walks more than once.
 *
 * @param memory - bytes for counters; only tests change it
 * @throws BlockError `unsupported` for repairs; what is wrong with the image is never thrown
 * @internal
 */
export async function checkImage(source: CheckSource, options: CheckOptions, memory?: number): Promise<CheckResult> {
  if (options.fix !== 'none') {
    throw new BlockError('unsupported', 'qcow2: repairing an image is not supported', { detail: { option: 'fix' } })
  }
  options.signal?.throwIfAborted()
  const findings = new Findings(options.report)
  const snapshots = await readCheckedSnapshots(source, findings)
  if (snapshots === null) return findings.result()
  const reader = await openReader(source, findings)
  if (reader === null) return findings.result()
  const bitmaps = await readCheckedBitmaps(source, findings)
  const fileLength = Math.ceil((await source.file.size()) / SECTOR_SIZE) * SECTOR_SIZE
  let clusters = Math.ceil(fileLength / source.geometry.clusterSize)
  for (let from = 0; ; ) {
    const { clusterSize, refcountBits } = source.geometry
    const excess = (cluster: number, times: number): void => tellExcess(findings, clusterSize, cluster, times)
    const counts = new ReferenceCounts(from, maxRefcount(refcountBits), excess, memory)
    const { file, area, geometry } = source
    const first = from === 0
    const pass: Pass = { file, area, geometry, first, findings, counts, fileLength, clusters, suspectsCopied: false, signal: options.signal }
    await countTables(pass, snapshots)
    await countBitmaps(pass, bitmaps)
    countRefcountStructures(pass, reader)
    await compareRefcounts(pass, reader)
    if (pass.suspectsCopied) await checkCopiedFlags(pass, reader)
    clusters = pass.clusters
    from = counts.limit
    if (from === Infinity) break
  }
  return {
    ...findings.result(),
    imageEndOffset: (findings.highestCluster + 1) * source.geometry.clusterSize,
    totalClusters: Math.ceil(source.area.header.size / source.geometry.clusterSize),
  }
}

/** The header, the L1 tables and all below them. */
async function countTables(pass: Pass, snapshots: CheckedSnapshots): Promise<void> {
  const { header } = pass.area
  const { clusterSize } = pass.geometry
  markRegion(pass, 0, clusterSize)
  const tables = new L2Tables(pass, (table, times, activeTimes) => {
    if (table === 'empty') return
    if (table !== 'unreadable') countL2(pass, table, times, activeTimes)
    else if (pass.first) pass.findings.failure('ERROR: I/O error in check_refcounts_l2', times)
  })
  await countL1(pass, tables, { offset: header.l1Offset, entries: header.l1Entries, active: true, times: 1 })
  for (const l1 of snapshotL1s(snapshots, clusterSize, pass.first ? pass.findings : null)) {
    pass.signal?.throwIfAborted()
    await countL1(pass, tables, l1)
  }
  await tables.finish()
  markRegion(pass, header.snapshotTableOffset, snapshots.bytes)
}

async function openReader(source: CheckSource, findings: Findings): Promise<RefcountReader | null> {
  const { refcountTableOffset, refcountTableClusters } = source.area.header
  const { file, geometry } = source
  const table = new Uint8Array(refcountTableClusters * geometry.clusterSize)
  try {
    if (table.length > 0) await file.read(refcountTableOffset, table)
  } catch (error) {
    if (!isBlockError(error)) throw error
    findings.failure(`ERROR: the refcount table cannot be read: ${error.message}`)
    return null
  }
  return new RefcountReader(file, geometry, table)
}
