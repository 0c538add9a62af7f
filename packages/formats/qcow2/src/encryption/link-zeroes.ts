import type { TableEntry } from '@blockloom/driver-kit'
import { dropEntry } from '../link.ts'
import { setL2Entry } from '../on-disk/l2.ts'
import { ALL_SUBCLUSTERS, setSubclusters } from '../on-disk/l2-subclusters.ts'
import type { Qcow2Writer } from '../writer.ts'

/**
 * Makes `count` L2 entries from `index` on point to reserved host clusters and say that they read as zeroes: what is in
 * the file does not decrypt to zeroes. Version 3.
 *
 * @internal
 */
export function linkZeroes(writer: Qcow2Writer, slice: TableEntry, index: number, host: number, count: number): void {
  const { geometry, clusterSize, l2Cache } = writer.image
  for (let i = 0; i < count; i++) {
    dropEntry(writer, slice, index + i, 'other')
    setL2Entry(geometry, slice.view, index + i, host + i * clusterSize, true, !geometry.extendedL2)
    if (geometry.extendedL2) setSubclusters(slice.view, index + i, 0, ALL_SUBCLUSTERS)
  }
  l2Cache.markDirty(slice, index * geometry.l2EntrySize, count * geometry.l2EntrySize)
  writer.relieveEarly()
}
