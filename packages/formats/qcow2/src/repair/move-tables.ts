import { L1_ENTRY_SIZE } from '../on-disk/l1.ts'
import type { Findings } from '../check/findings.ts'
import { unusableL1 } from '../check/snapshots.ts'
import type { Walk } from '../check/walk.ts'
import type { Header } from '../on-disk/header.ts'
import { printableName } from '../on-disk/names.ts'
import { encodeSnapshotTable, type SnapshotEntry } from '../on-disk/snapshot-table.ts'
import { hostOffset } from '../units.ts'
import { mendTables, type Forced } from './mend.ts'
import type { RepairedSnapshots } from './read-snapshots.ts'
import { l1Key, type SharedTables } from './shared-tables.ts'
import type { Spare } from './spare.ts'

/** What the header shall lead to. It is in the file, where nothing counts it yet, but for the snapshot table. @internal */
export interface NewTables {
  readonly header: Partial<Header>
  /** A new snapshot table, which has no place yet; null if it does not change. */
  readonly snapshotTable: Uint8Array | null
  /** Nothing else changes. */
  readonly onlySnapshots: boolean
  readonly snapshots: RepairedSnapshots
  /** What the header leads to until then, and will not any more. */
  readonly left: readonly { readonly offset: number; readonly length: number }[]
}

/**
 * Mends L1 and L2 tables; leaves out snapshots whose L1 table is lost.
 *
 * @param spare - has the places for what moves
 * @returns null if the header can stay as it is
 * @internal
 */
export async function moveTables(walk: Walk, snapshots: RepairedSnapshots, shared: SharedTables, forced: Forced, spare: Spare, findings: Findings): Promise<NewTables | null> {
  const { area, fileLength, geometry } = walk
  const { clusterSize } = geometry
  const moved = await mendTables(walk, shared, forced, spare)
  const left: { offset: number; length: number }[] = [...moved.l2.keys()].map((offset) => ({ offset, length: clusterSize }))
  const header: { -readonly [K in keyof Header]?: Header[K] } = {}
  if (moved.activeL1 !== null) {
    header.l1Offset = hostOffset(moved.activeL1)
    left.push({ offset: area.header.l1Offset, length: area.header.l1Entries * L1_ENTRY_SIZE })
  }
  const kept = snapshots.snapshots.filter((snapshot) => {
    if (!isLost(snapshot, walk)) return true
    findings.note(`Discarding snapshot ${printableName(snapshot.id)} (${printableName(snapshot.name)})`)
    return false
  })
  const isExceeding = area.header.snapshotTableOffset + snapshots.bytes - fileLength >= clusterSize && snapshots.bytes > 0
  const isChanged = snapshots.changed || isExceeding || kept.length < snapshots.snapshots.length || moved.snapshotL1s.size > 0
  if (!isChanged) return moved.activeL1 === null ? null : { header, snapshots, left, snapshotTable: null, onlySnapshots: false }
  const entries = kept.map((entry): SnapshotEntry => {
    const l1Offset = moved.snapshotL1s.get(l1Key({ offset: entry.l1Offset, entries: entry.l1Entries }))
    return l1Offset === undefined ? entry : { ...entry, l1Offset: hostOffset(l1Offset) }
  })
  const snapshotTable = encodeSnapshotTable(entries, area.header.size)
  header.snapshotCount = entries.length
  left.push({ offset: area.header.snapshotTableOffset, length: Math.min(snapshots.bytes, fileLength) })
  for (const { l1Offset, l1Entries } of kept) {
    if (moved.snapshotL1s.has(l1Key({ offset: l1Offset, entries: l1Entries }))) left.push({ offset: l1Offset, length: l1Entries * L1_ENTRY_SIZE })
  }
  const onlySnapshots = moved.activeL1 === null && moved.snapshotL1s.size === 0
  return { header, snapshots: { snapshots: entries, bytes: snapshotTable.length, changed: false }, left, snapshotTable, onlySnapshots }
}

/** Nothing of a snapshot can be read. */
function isLost(snapshot: SnapshotEntry, { geometry, fileLength }: Walk): boolean {
  return unusableL1(snapshot, geometry.clusterSize) !== null || (snapshot.l1Entries > 0 && snapshot.l1Offset >= fileLength)
}
