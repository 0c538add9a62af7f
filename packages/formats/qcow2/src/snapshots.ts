import { BlockError, limits, type Instance, type SnapshotInfo } from '@blockloom/block-driver'
import { encryptedAlignment } from './encryption/data-cipher.ts'
import { extents } from './extents.ts'
import type { Qcow2Image } from './image.ts'
import { L1Table } from './l1-table.ts'
import { Mapper } from './mapper.ts'
import { validateSnapshotTable } from './on-disk/header-decode.ts'
import { decodeSnapshotEntries, MAX_SNAPSHOT_ENTRY_BYTES, type SnapshotEntry } from './on-disk/snapshot-table.ts'
import { readGuest } from './read.ts'
import { readSnapshotL1 } from './snapshot-l1.ts'
import type { SnapshotStore } from './snapshot-store.ts'
import type { Qcow2Writer } from './writer.ts'

const WINDOW = 2 * MAX_SNAPSHOT_ENTRY_BYTES

/**
 * Reads the whole snapshot table, in windows: its length is not in the header.
 *
 * @returns the snapshots, and how many bytes the table has
 *
 * @throws BlockError `corrupt` if the table is malformed
 * @internal
 */
export async function readSnapshotTable(image: Qcow2Image): Promise<{ readonly entries: readonly SnapshotEntry[]; readonly bytes: number }> {
  const { snapshotCount, snapshotTableOffset } = image.header
  // Not yet checked if the image was opened for a check.
  validateSnapshotTable(snapshotCount, snapshotTableOffset, image.clusterSize)
  const entries: SnapshotEntry[] = []
  const size = await image.file.size()
  let at = 0
  while (entries.length < snapshotCount) {
    // As for the reference, everything behind the end of the file is zeroes: the guest's disk is not lost with its snapshots.
    const left = size - snapshotTableOffset - at
    const window = new Uint8Array(Math.min(WINDOW, Math.max(4096, left)))
    if (left > 0) await image.file.read(snapshotTableOffset + at, window)
    let found = decodeSnapshotEntries(window, snapshotCount - entries.length, entries.length, at)
    if (found.entries.length === 0) {
      const padded = new Uint8Array(WINDOW)
      padded.set(window)
      found = decodeSnapshotEntries(padded, snapshotCount - entries.length, entries.length, at)
    }
    for (const entry of found.entries) entries.push(entry)
    at += found.consumed
  }
  return { entries, bytes: at }
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
 * must stay open; when the snapshot is removed, reading fails.
 *
 * @param select - an ID, else a name
 * @throws BlockError `not-found`; `corrupt` if its L1 table is impossible
 * @internal
 */
export async function openSnapshot(image: Qcow2Image, store: SnapshotStore, select: string, writer: Qcow2Writer | null): Promise<Instance> {
  const read = async (): Promise<{ entry: SnapshotEntry; bytes: Uint8Array }> => {
    const entry = store.find(select)
    return { entry, bytes: await readSnapshotL1(image, entry) }
  }
  const { entry, bytes } = await (writer === null ? read() : writer.gate.pass(() => writer.grace.during(read())))
  const size = entry.diskSize ?? image.header.size
  const mapper = new Mapper(image, new L1Table(entry.l1Offset, bytes))
  const whileThere = <T>(request: () => Promise<T>): Promise<T> => {
    if (writer === null) return request()
    return writer.gate.pass(() => {
      if (!store.has(entry)) throw new BlockError('not-found', `Snapshot '${entry.name}' was removed`, { detail: { snapshot: entry.name } })
      return writer.grace.during(request())
    })
  }
  return {
    limits: limits({ clusterSize: image.clusterSize, ...encryptedAlignment(image) }),
    size: () => size,
    read: (offset, into) => whileThere(() => readGuest(image, mapper, offset, into)),
    extents: (offset, length) => whileThere(async () => extents(image, mapper, offset, length)),
    close: async () => {},
  }
}
