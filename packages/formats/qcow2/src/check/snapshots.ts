import { isBlockError } from '@blockloom/block-driver'
import { validateSnapshotTable } from '../on-disk/header-decode.ts'
import { MAX_L1_BYTES } from '../on-disk/limits.ts'
import { printableName } from '../on-disk/names.ts'
import { decodeSnapshotEntries, isCompleteSnapshotEntry, MAX_SNAPSHOT_ENTRY_BYTES } from '../on-disk/snapshot-table.ts'
import type { Findings } from './findings.ts'
import type { L1Reference } from './l2-tables.ts'
import type { CheckSource } from './pass.ts'

/** What a check needs of a snapshot. */
interface CheckedSnapshot {
  readonly id: string
  readonly name: string
  readonly l1Offset: number
  readonly l1Entries: number
}

/** The snapshot table, as far as a check needs it. @internal */
export interface CheckedSnapshots {
  readonly snapshots: readonly CheckedSnapshot[]
  /** Bytes of the table. */
  readonly bytes: number
}

/** Reads the snapshot table; null if that is impossible, which is told and ends the check. @internal */
export async function readCheckedSnapshots(source: CheckSource, findings: Findings): Promise<CheckedSnapshots | null> {
  const { header } = source.area
  try {
    validateSnapshotTable(header.snapshotCount, header.snapshotTableOffset, source.geometry.clusterSize)
  } catch (error) {
    return failed(error, findings, (message) => `ERROR ${message.charAt(0).toLowerCase()}${message.slice(1)}`)
  }
  try {
    return await readEntries(source, findings)
  } catch (error) {
    return failed(error, findings, (message) => `ERROR failed to read the snapshot table: ${message}`)
  }
}

function failed(error: unknown, findings: Findings, line: (message: string) => string): null {
  if (!isBlockError(error)) throw error
  findings.failure(line(error.message))
  return null
}

async function readEntries({ file, area }: CheckSource, findings: Findings): Promise<CheckedSnapshots> {
  const { snapshotCount, snapshotTableOffset, version } = area.header
  const snapshots: CheckedSnapshot[] = []
  const window = new Uint8Array(snapshotCount === 0 ? 0 : 2 * MAX_SNAPSHOT_ENTRY_BYTES)
  let bytes = 0
  while (snapshots.length < snapshotCount) {
    await file.read(snapshotTableOffset + bytes, window)
    const { entries, consumed } = decodeSnapshotEntries(window, snapshotCount - snapshots.length, snapshots.length, bytes)
    for (const entry of entries) {
      if (version >= 3 && !isCompleteSnapshotEntry(entry)) {
        findings.corruption(`ERROR snapshot table entry ${snapshots.length} is incomplete`)
      }
      const { id, name, l1Offset, l1Entries } = entry
      snapshots.push({ id, name, l1Offset, l1Entries })
    }
    bytes += consumed
  }
  return { snapshots, bytes }
}

/** The L1 tables of the snapshots that can be examined; equal ones once. @internal */
export function snapshotL1s(
  { snapshots }: CheckedSnapshots,
  clusterSize: number,
  findings: Findings | null,
): L1Reference[] {
  const found = new Map<string, { offset: number; entries: number; active: boolean; times: number }>()
  for (const { id, name, l1Offset, l1Entries } of snapshots) {
    const who = `ERROR snapshot ${printableName(id)} (${printableName(name)})`
    if (l1Offset % clusterSize !== 0) {
      const at = `l1_offset=0x${l1Offset.toString(16)}`
      findings?.corruption(`${who} ${at}: L1 table is not cluster aligned; snapshot table entry corrupted`)
      continue
    }
    if (l1Entries > MAX_L1_BYTES / 8) {
      const size = `l1_size=0x${l1Entries.toString(16)}`
      findings?.corruption(`${who} ${size}: L1 table is too large; snapshot table entry corrupted`)
      continue
    }
    const key = `${l1Offset}/${l1Entries}`
    const same = found.get(key)
    if (same === undefined) found.set(key, { offset: l1Offset, entries: l1Entries, active: false, times: 1 })
    else same.times++
  }
  return [...found.values()]
}
