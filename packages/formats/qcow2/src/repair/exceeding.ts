import { reachesTooFar } from '../check/pass.ts'
import type { Walk } from '../check/walk.ts'
import { L1_ENTRY_SIZE } from '../on-disk/l1.ts'

/**
 * The first cluster of an L1 or snapshot table that ends behind the file; Infinity if there is none.
 *
 * Such a table does not count as a use of its clusters, which look free. But until something else takes its place it is
 * all there is of it: from this cluster to the end of the file nothing may be discarded or used for something else.
 *
 * @internal
 */
export function firstExceeding({ area, geometry, fileLength, snapshots }: Walk): number {
  const { l1Offset, l1Entries, snapshotTableOffset } = area.header
  let first = Infinity
  const look = (offset: number, length: number): void => {
    if (length > 0 && offset < fileLength && reachesTooFar({ fileLength, geometry }, offset, length)) first = Math.min(first, Math.floor(offset / geometry.clusterSize))
  }
  look(l1Offset, l1Entries * L1_ENTRY_SIZE)
  look(snapshotTableOffset, snapshots.bytes)
  for (const snapshot of snapshots.snapshots) look(snapshot.l1Offset, snapshot.l1Entries * L1_ENTRY_SIZE)
  return first
}
