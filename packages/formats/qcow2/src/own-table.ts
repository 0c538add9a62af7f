import { hostOffset } from './units.ts'
import type { Qcow2Writer } from './writer.ts'

/**
 * Makes sure that the L2 table of L1 entry `l1Index` exists and belongs to the active L1 table alone: a missing one is
 * made, one that is shared with a snapshot is copied. All who need the same table share the work.
 *
 * The new table is reachable on disk only after the next commit.
 *
 * @internal
 */
export function ownTable(writer: Qcow2Writer, l1Index: number): Promise<void> {
  let making = writer.tablesUnderWay.get(l1Index)
  if (making === undefined) {
    making = makeTable(writer, l1Index).finally(() => writer.tablesUnderWay.delete(l1Index))
    writer.tablesUnderWay.set(l1Index, making)
  }
  return making
}

async function makeTable(writer: Qcow2Writer, l1Index: number): Promise<void> {
  const { image, allocator, overlap, frees } = writer
  const { l1, l2Cache, mapper, clusterSize, geometry } = image
  const guest = l1Index * geometry.l2Coverage
  // Throws if the entry cannot be.
  const old = mapper.sliceOffset(guest)
  if (old !== 0 && l1.copied(l1Index)) return
  overlap.assertL1Entry(l1Index)
  await l2Cache.reserve()
  const contents = old === 0 ? null : await readTable(writer, old)
  const { first } = await allocator.allocate(1)
  // From here on nothing waits.
  for (let at = 0; at < clusterSize; at += l2Cache.entrySize) {
    const slice = l2Cache.create(first * clusterSize + at)
    if (contents !== null) slice.bytes.set(contents.subarray(at, at + l2Cache.entrySize))
  }
  overlap.addTable(first, 'active L2 table')
  l1.set(l1Index, hostOffset(first * clusterSize))
  if (old !== 0) {
    overlap.removeTable(old / clusterSize)
    frees.add(old / clusterSize, 1, 'other')
  }
}

/** A table that is shared does not change, so what is on disk or in the cache is all there is. */
async function readTable(writer: Qcow2Writer, offset: number): Promise<Uint8Array> {
  const { l2Cache, clusterSize } = writer.image
  const contents = new Uint8Array(clusterSize)
  for (let at = 0; at < clusterSize; at += l2Cache.entrySize) {
    const slice = await l2Cache.load(offset + at)
    contents.set(slice.bytes, at)
    l2Cache.unpin(slice)
  }
  return contents
}
