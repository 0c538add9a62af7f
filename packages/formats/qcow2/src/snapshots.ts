import { BlockError, limits, type Instance, type SnapshotInfo } from '@blockloom/block-driver'
import { extents } from './extents.ts'
import type { Qcow2Image } from './image.ts'
import { L1Table } from './l1-table.ts'
import { Mapper } from './mapper.ts'
import { decodeSnapshotEntries, MAX_SNAPSHOT_ENTRY_BYTES, validateSnapshot, type SnapshotEntry } from './on-disk/snapshot-table.ts'
import { readGuest } from './read.ts'

const WINDOW = 2 * MAX_SNAPSHOT_ENTRY_BYTES

/**
 * Reads the whole snapshot table, in windows: its length is not in the header.
 *
 * @throws BlockError `corrupt` if the table is malformed
 * @internal
 */
export async function readSnapshotTable(image: Qcow2Image): Promise<SnapshotEntry[]> {
  const { snapshotCount, snapshotTableOffset } = image.header
  const entries: SnapshotEntry[] = []
  const size = await image.file.size()
  for (let at = 0; entries.length < snapshotCount; ) {
    if (snapshotTableOffset + at >= size) {
      throw new BlockError('corrupt', 'The snapshot table goes beyond the end of the image file', { detail: { field: 'nb_snapshots' } })
    }
    const window = new Uint8Array(Math.min(WINDOW, Math.max(4096, size - snapshotTableOffset - at)))
    await image.file.read(snapshotTableOffset + at, window)
    let found = decodeSnapshotEntries(window, snapshotCount - entries.length, entries.length, at)
    if (found.entries.length === 0) {
      const padded = new Uint8Array(WINDOW)
      padded.set(window)
      found = decodeSnapshotEntries(padded, snapshotCount - entries.length, entries.length, at)
    }
    for (const entry of found.entries) entries.push(entry)
    at += found.consumed
  }
  return entries
}

/** A table entry as consumers see it. @internal */
export function snapshotInfo(entry: SnapshotEntry): SnapshotInfo {
  return {
    id: entry.id,
    name: entry.name,
    vmStateSize: entry.vmStateSize,
    dateSec: entry.dateSeconds,
    dateNsec: entry.dateNanoseconds,
    vmClockNsec: Number(entry.vmClock),
    ...(entry.diskSize === null ? {} : { diskSize: entry.diskSize }),
    ...(entry.instructionCount === null ? {} : { icount: Number(entry.instructionCount) }),
  }
}

/**
 * Opens the disk as it was when a snapshot was taken, read-only. It shares the caches and children of the image, which
 * must stay open.
 *
 * @param select - an ID, else a name
 * @throws BlockError `not-found`; `corrupt` if its L1 table is impossible
 * @internal
 */
export async function openSnapshot(image: Qcow2Image, entries: readonly SnapshotEntry[], select: string): Promise<Instance> {
  const entry = entries.find((each) => each.id === select) ?? entries.find((each) => each.name === select)
  if (entry === undefined) {
    throw new BlockError('not-found', `Can't find snapshot '${select}'`, { detail: { snapshot: select } })
  }
  validateSnapshot(entry, image.geometry)
  const size = entry.diskSize ?? image.header.size
  const bytes = new Uint8Array(entry.l1Entries * 8)
  if (bytes.length > 0) await image.file.read(entry.l1Offset, bytes)
  const mapper = new Mapper(image, new L1Table(entry.l1Offset, bytes))
  return {
    limits: limits({ clusterSize: image.clusterSize }),
    size: () => size,
    read: (offset, into) => readGuest(image, mapper, offset, into),
    extents: (offset, length) => extents(mapper, image.dataFile, offset, length),
    close: async () => {},
  }
}
