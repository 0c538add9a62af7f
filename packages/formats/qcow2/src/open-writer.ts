import type { Qcow2Image } from './image.ts'
import type { SnapshotStore } from './snapshot-store.ts'
import { Qcow2Writer } from './writer.ts'

/** Reads what writing needs besides: the refcount table. @internal */
export async function openWriter(image: Qcow2Image, snapshots: SnapshotStore): Promise<Qcow2Writer> {
  const { header, clusterSize, file } = image
  const table = new Uint8Array(header.refcountTableClusters * clusterSize)
  if (table.length > 0) await file.read(header.refcountTableOffset, table)
  return new Qcow2Writer(image, table, await file.size(), snapshots)
}
