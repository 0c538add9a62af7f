import { openBitmaps } from '../bitmaps/read-directory.ts'
import type { Qcow2Image } from '../image.ts'
import type { SnapshotStore } from '../snapshot-store.ts'
import { readSnapshotTable } from '../snapshots.ts'
import type { Qcow2Writer } from '../writer.ts'

/**
 * Reads again what an open image has in memory, after a repair changed the file below it. `image.area` is right
 * already; nothing is dirty and no request is under way.
 *
 * @throws what a read threw; BlockError `corrupt` if the snapshot table is still damaged
 * @internal
 */
export async function renew(image: Qcow2Image, writer: Qcow2Writer, store: SnapshotStore): Promise<void> {
  const { file, header, clusterSize, l1, l2Cache } = image
  const l1Bytes = new Uint8Array(header.l1Entries * 8)
  if (l1Bytes.length > 0) await file.read(header.l1Offset, l1Bytes)
  const { entries, bytes } = await readSnapshotTable(image)
  const table = new Uint8Array(header.refcountTableClusters * clusterSize)
  if (table.length > 0) await file.read(header.refcountTableOffset, table)
  const fileLength = await file.size()
  l1.replace(header.l1Offset, l1Bytes)
  l2Cache.invalidate()
  image.compressed.forgetAll()
  store.replace(entries, bytes)
  await openBitmaps(image)
  writer.refcounts.cache.invalidate()
  writer.refcounts.startOver(image.geometry, header.refcountTableOffset, table)
  writer.allocator.changeGeometry(image.geometry)
  writer.allocator.startOver(0)
  // Nothing in the file is known to be untouched.
  writer.allocator.used(0, Math.ceil(fileLength / clusterSize))
  writer.overlap.renew()
  writer.ready = false
}
