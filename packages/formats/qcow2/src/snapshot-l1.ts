import { BlockError } from '@blockloom/block-driver'
import type { Qcow2Image } from './image.ts'
import { viewOf } from './on-disk/integers.ts'
import { l1Hi, l1Lo, l1TableOffset, setL1Entry } from './on-disk/l1.ts'
import { validateSnapshot, type SnapshotEntry } from './on-disk/snapshot-table.ts'

/**
 * Reads the L1 table of a snapshot.
 *
 * @throws BlockError `corrupt` if it is impossible
 * @internal
 */
export async function readSnapshotL1(image: Qcow2Image, entry: SnapshotEntry): Promise<Uint8Array> {
  validateSnapshot(entry, image.geometry)
  const length = entry.l1Entries * 8
  if (length > 0 && entry.l1Offset + length > (await image.file.size())) {
    throw new BlockError('corrupt', 'The L1 table of the snapshot goes beyond the end of the image file', { errno: 'EIO', detail: { field: 'l1_table_offset' } })
  }
  const bytes = new Uint8Array(length)
  if (bytes.length > 0) await image.file.read(entry.l1Offset, bytes)
  return bytes
}

/** A copy of an L1 table with `entries` entries and no COPIED flags. @internal */
export function sharedL1(l1: Uint8Array, entries: number): Uint8Array {
  const from = viewOf(l1)
  const shared = new Uint8Array(entries * 8)
  const view = viewOf(shared)
  for (let i = 0; i < Math.min(entries, l1.length / 8); i++) setL1Entry(view, i, l1TableOffset(l1Hi(from, i), l1Lo(from, i)), false)
  return shared
}
