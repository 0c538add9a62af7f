import type { Pass } from '../check/pass.ts'
import { L2Tables } from '../check/l2-tables.ts'
import { snapshotL1s } from '../check/snapshots.ts'
import { eachPass, type Walk } from '../check/walk.ts'
import { L1_ENTRY_SIZE, l1TableOffset } from '../on-disk/l1.ts'

/** Clusters of L1 tables that are looked at; no image has more. */
const MAX_CLUSTERS = 2 ** 24

/** Tables whose clusters are also used for something else: they must not be changed where they are. @internal */
export interface SharedTables {
  /** Host offsets of L2 tables that are also something else than an L2 table. */
  readonly l2: ReadonlySet<number>
  /** The active L1 table. */
  readonly activeL1: boolean
  /** L1 tables of snapshots, as {@link l1Key}. */
  readonly snapshotL1s: ReadonlySet<string>
  /** One of the bitmap tables. */
  readonly bitmapTables: boolean
}

/** Names an L1 table. @internal */
export function l1Key({ offset, entries }: { readonly offset: number; readonly entries: number }): string {
  return `${offset}/${entries}`
}

/**
 * Finds the tables that share their clusters with something else.
 *
 * L2 tables that several L1 entries lead to are not shared in this sense: all of them want the same change.
 *
 * @internal
 */
export async function findSharedTables(walk: Walk): Promise<SharedTables> {
  const found = { l2: new Set<number>(), activeL1: false, snapshotL1s: new Set<string>(), bitmapTables: false }
  await eachPass(walk, { marksTables: true }, async (pass) => {
    const { header } = pass.area
    const { clusterSize } = pass.geometry
    const active = { offset: header.l1Offset, entries: header.l1Entries, active: true, times: 1 }
    const ofSnapshots = snapshotL1s(pass, walk.snapshots)
    let left = MAX_CLUSTERS
    const isShared = (offset: number, bytes: number): boolean => {
      left -= Math.ceil(bytes / clusterSize)
      return left < 0 || isUsedTwice(pass, offset, bytes)
    }
    if (isShared(active.offset, active.entries * L1_ENTRY_SIZE)) found.activeL1 = true
    for (const l1 of ofSnapshots) if (isShared(l1.offset, l1.entries * L1_ENTRY_SIZE)) found.snapshotL1s.add(l1Key(l1))
    for (const { tableOffset, tableEntries } of walk.bitmaps) if (isShared(tableOffset, tableEntries * 8)) found.bitmapTables = true
    // Only the L1 entries are of interest, not the tables.
    const tables = new L2Tables(pass, () => {})
    for (const l1 of [active, ...ofSnapshots]) {
      await tables.addL1(l1, (hi, lo) => {
        const offset = l1TableOffset(hi, lo)
        if (offset !== 0 && pass.counts.get(Math.floor(offset / clusterSize)) > 0) found.l2.add(offset)
        return false
      })
    }
  })
  return found
}

/** True if some cluster of a table of `bytes` bytes, itself counted, is also something else. */
function isUsedTwice({ counts, geometry, fileLength }: Pass, offset: number, bytes: number): boolean {
  const end = Math.ceil(Math.min(offset + bytes, fileLength, counts.limit * geometry.clusterSize) / geometry.clusterSize)
  for (let cluster = Math.max(counts.from, Math.floor(offset / geometry.clusterSize)); cluster < end; cluster++) {
    if (counts.get(cluster) > 1 || counts.isMarked(cluster)) return true
  }
  return false
}
