import { BlockError } from '@blockloom/block-driver'
import { maxRefcount } from '../on-disk/refcount.ts'
import type { BitmapEntry } from '../on-disk/bitmap-directory.ts'
import { countBitmaps } from './bitmaps.ts'
import { countL2 } from './count-l2.ts'
import { Findings } from './findings.ts'
import { countL1, L2Tables } from './l2-tables.ts'
import { markRegion, reachesTooFar, tellExcess, tooFar, type CheckSource, type Pass } from './pass.ts'
import { ReferenceCounts } from './reference-counts.ts'
import { countRefcountStructures } from './refcount-structures.ts'
import type { RefcountReader } from './refcount-reader.ts'
import { snapshotL1s, type CheckedSnapshots } from './snapshots.ts'

/** Images are as long as whole sectors. */
const SECTOR_SIZE = 512

/** All that a walk over the metadata goes through. @internal */
export interface Walk extends CheckSource {
  readonly fileLength: number
  readonly snapshots: CheckedSnapshots
  readonly bitmaps: readonly BitmapEntry[]
  /** The refcount structures; null if they are not to be counted. */
  readonly reader: RefcountReader | null
  readonly signal: AbortSignal | undefined
  /** Bytes for counters. */
  readonly memory: number | undefined
  /** What cannot be read ends the walk: who frees what seems not to be used must have seen everything. */
  readonly isStrict?: boolean
}

/** How a walk tells what it sees. @internal */
export interface WalkHow {
  /** Gets the problems of entries and tables, and what is counted; by default nobody does. */
  readonly findings?: Findings
  /** Gets the problems of refcount structures and of refcounts; by default nobody does. */
  readonly refcountFindings?: Findings
  readonly mends?: boolean
  readonly marksTables?: boolean
}

/** Bytes of the image file, in whole sectors. @internal */
export async function lengthOf({ file }: CheckSource): Promise<number> {
  return Math.ceil((await file.size()) / SECTOR_SIZE) * SECTOR_SIZE
}

/**
 * Counts what uses each cluster, in as many passes as the memory for counters needs: `visit` is called when all uses of
 * the clusters of a pass are counted. It ends the walk by returning 'enough'.
 *
 * @internal
 */
export async function eachPass(walk: Walk, how: WalkHow, visit: (pass: Pass, refcountFindings: Findings) => Promise<void | 'enough'>): Promise<void> {
  const { file, area, geometry, fileLength, signal } = walk
  const findings = how.findings ?? new Findings(undefined)
  const refcountFindings = how.refcountFindings ?? new Findings(undefined)
  const { clusterSize, refcountBits } = geometry
  let clusters = Math.ceil(fileLength / clusterSize)
  for (let from = 0; from !== Infinity; ) {
    signal?.throwIfAborted()
    const first = from === 0
    const mends = how.mends ?? false
    const excess = (cluster: number, times: number): void => {
      pass.overflows = true
      tellExcess(findings, clusterSize, cluster, times, mends && area.header.version >= 3)
    }
    const max = how.marksTables ? 2 : maxRefcount(refcountBits)
    const counts = new ReferenceCounts(from, max, how.marksTables ? () => {} : excess, walk.memory)
    const pass: Pass = {
      file,
      area,
      geometry,
      first,
      findings,
      counts,
      fileLength,
      clusters,
      signal,
      mends,
      marksTables: how.marksTables ?? false,
      isIncomplete: false,
      suspectsCopied: false,
      mendable: false,
      needsRebuild: false,
      lacksBlocks: false,
      overflows: false,
    }
    await countTables(pass, walk.snapshots)
    await countBitmaps(pass, walk.bitmaps)
    if (walk.reader !== null) countRefcountStructures(pass, walk.reader, refcountFindings)
    if (walk.isStrict) assertComplete(pass)
    const isEnough = (await visit(pass, refcountFindings)) === 'enough'
    if (walk.isStrict) assertComplete(pass)
    if (isEnough) return
    clusters = pass.clusters
    from = counts.limit
  }
}

function assertComplete({ isIncomplete }: Pass): void {
  if (isIncomplete) throw new BlockError('corrupt', 'Not all metadata could be read; nothing is repaired then', { errno: 'EIO' })
}

/** The header, the L1 tables and all below them. */
async function countTables(pass: Pass, snapshots: CheckedSnapshots): Promise<void> {
  const { header, extensions } = pass.area
  markRegion(pass, 0, pass.geometry.clusterSize)
  const tables = new L2Tables(pass, (table, times, activeTimes) => {
    if (table === 'empty') return
    if (table !== 'unreadable') countL2(pass, table, times, activeTimes)
    else {
      pass.isIncomplete = true
      if (pass.first) pass.findings.failure('ERROR: I/O error in check_refcounts_l2', times)
    }
  })
  await countL1(pass, tables, { offset: header.l1Offset, entries: header.l1Entries, active: true, times: 1 })
  for (const l1 of snapshotL1s(pass, snapshots)) {
    pass.signal?.throwIfAborted()
    await countL1(pass, tables, l1)
  }
  await tables.finish()
  markRegion(pass, header.snapshotTableOffset, snapshots.bytes)
  if (extensions.encryption !== null) countKeys(pass, extensions.encryption)
}

/** The clusters of the LUKS header and its key slots. If they are lost, nothing can be done. */
function countKeys(pass: Pass, { offset, length }: { readonly offset: number; readonly length: number }): void {
  if (!reachesTooFar(pass, offset, length)) markRegion(pass, offset, length)
  else if (pass.first) pass.findings.corruption(tooFar(offset.toString(16), length))
}
