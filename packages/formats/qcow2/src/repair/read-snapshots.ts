import { isBlockError } from '@blockloom/block-driver'
import type { Findings } from '../check/findings.ts'
import type { CheckSource } from '../check/pass.ts'
import { readCheckedSnapshots } from '../check/snapshots.ts'
import { viewOf } from '../on-disk/integers.ts'
import { MAX_HOST_OFFSET, MAX_SNAPSHOTS, MAX_SNAPSHOT_EXTRA_DATA, MAX_SNAPSHOT_TABLE_BYTES } from '../on-disk/limits.ts'
import { decodeSnapshotEntries, isCompleteSnapshotEntry, MAX_SNAPSHOT_ENTRY_BYTES, type SnapshotEntry } from '../on-disk/snapshot-table.ts'
import { hostOffset } from '../units.ts'

const FIXED = 40
/** Extra data that is always written. */
const KNOWN_EXTRA = 24
const ROOM_FOR_UNKNOWN = MAX_SNAPSHOT_EXTRA_DATA - KNOWN_EXTRA
/** Bytes; the reference goes no further, however much it discards. */
const MAX_LENGTH = 0x7fff_ffff

/** A snapshot table that will be repaired. @internal */
export interface RepairedSnapshots {
  readonly snapshots: readonly SnapshotEntry[]
  /** Bytes that it has in the file now. */
  readonly bytes: number
  /** It cannot stay as it is. */
  readonly changed: boolean
}

/**
 * Reads the snapshot table for a repair: entries of version 3 that are incomplete will be completed, what is more than
 * any image may have is left out.
 *
 * @returns null if it cannot be found, which is told and ends the repair
 * @internal
 */
export async function readSnapshotsToRepair(source: CheckSource, findings: Findings): Promise<RepairedSnapshots | null> {
  const { header } = source.area
  const { snapshotTableOffset: offset, snapshotCount } = header
  if (offset % source.geometry.clusterSize !== 0 || offset > MAX_HOST_OFFSET) {
    await readCheckedSnapshots(source, findings)
    return null
  }
  const tooMany = Math.max(0, snapshotCount - MAX_SNAPSHOTS)
  if (tooMany > 0) findings.corruptionFixed(`Discarding ${tooMany} overhanging snapshots`, tooMany)
  try {
    return await readEntries(source, snapshotCount - tooMany, tooMany > 0, findings)
  } catch (error) {
    if (!isBlockError(error)) throw error
    findings.failure(`ERROR failed to read the snapshot table: ${error.message}`)
    return null
  }
}

async function readEntries({ file, area }: CheckSource, count: number, isCut: boolean, findings: Findings): Promise<RepairedSnapshots> {
  const snapshots: SnapshotEntry[] = []
  const window = new Uint8Array(count === 0 ? 0 : 2 * MAX_SNAPSHOT_ENTRY_BYTES)
  const start = area.header.snapshotTableOffset
  let changed = isCut
  let at = 0
  let kept = 0
  while (snapshots.length < count) {
    await file.read(start + at, window)
    const extra = viewOf(window).getUint32(36)
    // Entries as far as they are within bounds, or one that has too much extra data.
    const isLong = extra > MAX_SNAPSHOT_EXTRA_DATA
    const bytes = isLong ? await withoutExcess(file, start + at, window, extra) : window
    const { entries, consumed } = decodeSnapshotEntries(bytes, isLong ? 1 : wholesome(window, count - snapshots.length), snapshots.length)
    const length = isLong ? roundUp8(FIXED + extra + idAndName(viewOf(window))) : consumed
    if (isLong) {
      findings.corruptionFixed(`Discarding too much extra metadata in snapshot table entry ${snapshots.length} (${extra} > ${MAX_SNAPSHOT_EXTRA_DATA})`)
      changed = true
    }
    kept += isLong ? bytes.length : consumed
    if (at + length > MAX_LENGTH || kept > MAX_SNAPSHOT_TABLE_BYTES) {
      const left = count - snapshots.length
      findings.corruptionFixed(`Discarding ${left} overhanging snapshots (snapshot table is too big)`, left)
      return { snapshots, bytes: at, changed: true }
    }
    for (const entry of entries) {
      if (area.header.version >= 3 && !isCompleteSnapshotEntry(entry)) {
        findings.corruptionFixed(`Repairing snapshot table entry ${snapshots.length} is incomplete`)
        changed = true
      }
      snapshots.push(writable(entry))
    }
    at += length
  }
  return { snapshots, bytes: at, changed }
}

/** The entry as it can be written again: what no field can mean, or no field has room for, is left out. */
function writable(entry: SnapshotEntry): SnapshotEntry {
  const { l1Entries, l1Offset, vmStateSize, diskSize, unknownExtraData } = entry
  return {
    ...entry,
    // Without entries there is no table.
    l1Offset: l1Entries === 0 ? hostOffset(0) : l1Offset,
    vmStateSize: vmStateSize > Number.MAX_SAFE_INTEGER ? 0 : vmStateSize,
    diskSize: diskSize !== null && diskSize > Number.MAX_SAFE_INTEGER ? null : diskSize,
    unknownExtraData: unknownExtraData.length > ROOM_FOR_UNKNOWN ? unknownExtraData.slice(0, ROOM_FOR_UNKNOWN) : unknownExtraData,
  }
}

const roundUp8 = (length: number): number => Math.ceil(length / 8) * 8

const idAndName = (view: DataView): number => view.getUint16(12) + view.getUint16(14)

/** How many entries from the start of the window on, at least one, do not have too much extra data; at most `most`. */
function wholesome(window: Uint8Array, most: number): number {
  const view = viewOf(window)
  let count = 0
  for (let at = 0; count < most && at + FIXED <= window.length; count++) {
    const extra = view.getUint32(at + 36)
    if (extra > MAX_SNAPSHOT_EXTRA_DATA) break
    at += roundUp8(FIXED + extra + view.getUint16(at + 12) + view.getUint16(at + 14))
  }
  return count
}

/** The entry at the start of the window, with as much extra data as is allowed. */
async function withoutExcess(file: CheckSource['file'], offset: number, window: Uint8Array, extra: number): Promise<Uint8Array> {
  const names = new Uint8Array(idAndName(viewOf(window)))
  if (names.length > 0) await file.read(offset + FIXED + extra, names)
  const bytes = new Uint8Array(roundUp8(FIXED + MAX_SNAPSHOT_EXTRA_DATA + names.length))
  bytes.set(window.subarray(0, FIXED + MAX_SNAPSHOT_EXTRA_DATA))
  bytes.set(names, FIXED + MAX_SNAPSHOT_EXTRA_DATA)
  viewOf(bytes).setUint32(36, MAX_SNAPSHOT_EXTRA_DATA)
  return bytes
}
