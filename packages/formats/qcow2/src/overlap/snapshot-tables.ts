import type { Qcow2Image } from '../image.ts'
import { MAX_HOST_OFFSET, MAX_L1_BYTES } from '../on-disk/limits.ts'
import { l1Hi, l1Lo, l1TableOffset } from '../on-disk/l1.ts'
import { validateSnapshot, type SnapshotEntry } from '../on-disk/snapshot-table.ts'
import { viewOf } from '../on-disk/integers.ts'
import { ByteRanges } from './byte-ranges.ts'

/** L1 tables are read in pieces of this many bytes. */
const PIECE = 1024 * 1024
/** No more than this is read of them: a sparse file could claim terabytes. */
const MOST_BYTES = 1024 * PIECE

/** Where the L1 tables of snapshots are. Impossible ones are cut to what is possible. @internal */
export function inactiveL1Ranges(entries: readonly SnapshotEntry[]): ByteRanges {
  return new ByteRanges(
    entries.filter(({ l1Offset }) => l1Offset <= MAX_HOST_OFFSET).map(({ l1Offset, l1Entries }) => ({ offset: l1Offset, bytes: Math.min(l1Entries * 8, MAX_L1_BYTES) })),
  )
}

/**
 * Finds the L2 tables of snapshots. Reads each byte of the file at most once, nothing behind its end, and 1 GiB in all.
 *
 * @param most - stops when so many have been found
 * @returns their cluster indices
 * @throws BlockError `corrupt` if a snapshot's L1 table is impossible
 * @internal
 */
export async function inactiveL2Clusters(image: Qcow2Image, entries: readonly SnapshotEntry[], most: number): Promise<Set<number>> {
  for (const entry of entries) validateSnapshot(entry, image.geometry)
  const clusters = new Set<number>()
  const size = await image.file.size()
  let left = MOST_BYTES
  for (const { offset, bytes } of inactiveL1Ranges(entries).list) {
    const end = Math.min(offset + bytes, offset + left, size)
    left -= Math.max(0, end - offset)
    for (let at = offset; at < end; at += PIECE) {
      const piece = new Uint8Array(Math.floor(Math.min(PIECE, end - at) / 8) * 8)
      await image.file.read(at, piece)
      const view = viewOf(piece)
      for (let i = 0; i < piece.length / 8 && clusters.size < most; i++) {
        const table = l1TableOffset(l1Hi(view, i), l1Lo(view, i))
        if (table !== 0) clusters.add(Math.floor(table / image.clusterSize))
      }
      if (clusters.size === most) return clusters
    }
  }
  return clusters
}
