import { isBlockError } from '@blockloom/block-driver'
import { validateSnapshotTable } from '../on-disk/header-decode.ts'
import { MAX_L1_BYTES } from '../on-disk/limits.ts'
import { printableName } from '../on-disk/names.ts'
import { decodeSnapshotEntries, isCompleteSnapshotEntry, MAX_SNAPSHOT_ENTRY_BYTES } from '../on-disk/snapshot-table.ts'
import type { Findings } from './findings.ts'
import type { L1Reference } from './l2-tables.ts'
import { entryProblem, type CheckSource, type Pass } from './pass.ts'

/** What a check needs of a snapshot. @internal */
export interface CheckedSnapshot {
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

/** Why a snapshot's L1 table cannot be examined, in the words of the reference; null if it can. @internal */
export function unusableL1({ l1Offset, l1Entries }: CheckedSnapshot, clusterSize: number): string | null {
  if (l1Offset % clusterSize !== 0) return `l1_offset=0x${l1Offset.toString(16)}: L1 table is not cluster aligned; snapshot table entry corrupted`
  if (l1Entries > MAX_L1_BYTES / 8) return `l1_size=0x${l1Entries.toString(16)}: L1 table is too large; snapshot table entry corrupted`
  return null
}

/** The L1 tables of the snapshots that can be examined; equal ones once. @internal */
export function snapshotL1s(pass: Pass, { snapshots }: CheckedSnapshots): L1Reference[] {
  const found = new Map<string, { offset: number; entries: number; active: boolean; times: number }>()
  for (const snapshot of snapshots) {
    const problem = unusableL1(snapshot, pass.geometry.clusterSize)
    if (problem !== null) {
      entryProblem(pass, `ERROR snapshot ${printableName(snapshot.id)} (${printableName(snapshot.name)}) ${problem}`)
      continue
    }
    const { l1Offset, l1Entries } = snapshot
    const key = `${l1Offset}/${l1Entries}`
    const same = found.get(key)
    if (same === undefined) found.set(key, { offset: l1Offset, entries: l1Entries, active: false, times: 1 })
    else same.times++
  }
  return [...found.values()]
}
