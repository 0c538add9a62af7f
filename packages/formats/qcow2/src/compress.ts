import { BlockError } from '@blockloom/block-driver'
import { cachedSlice, dropEntry } from './link.ts'
import { setCompressedEntry } from './on-disk/l2-compressed.ts'
import { compressedOffsetLimit } from './on-disk/l2-compressed.ts'
import { ownTable } from './own-table.ts'
import type { PendingFree } from './pending-frees.ts'
import { release } from './release.ts'
import { writeGuest } from './write.ts'
import type { Qcow2Writer } from './writer.ts'

/**
 * Stores one cluster compressed, or as it is if that does not make it smaller. `offset` is a multiple of the cluster
 * size; `from` is a cluster, or shorter at the end of the disk.
 *
 * Compressing runs in parallel; compressed clusters lie one behind the other, across host cluster boundaries. What the
 * cluster held before is dropped, never overwritten.
 *
 * @internal
 */
export async function writeCompressed(writer: Qcow2Writer, offset: number, from: Uint8Array): Promise<void> {
  const { image } = writer
  const { clusterSize } = image
  const isWhole = from.length === clusterSize || (from.length < clusterSize && offset + from.length === image.header.size)
  if (offset % clusterSize !== 0 || !isWhole) {
    throw new BlockError('invalid', `Compressed writes must be whole clusters of ${clusterSize} bytes`)
  }
  let cluster = from
  if (from.length < clusterSize) {
    cluster = new Uint8Array(clusterSize)
    cluster.set(from)
  }
  const packed = await image.codec.compress(cluster, clusterSize - 1)
  if (packed === null || !(await storeCompressed(writer, offset, packed))) await writeGuest(writer, offset, from)
}

/** Returns false if the file has become too large for a compressed cluster's offset. */
async function storeCompressed(writer: Qcow2Writer, offset: number, packed: Uint8Array): Promise<boolean> {
  const { image, inFlight, allocator } = writer
  const { clusterSize, geometry, l1, mapper, file } = image
  if (!writer.ready) await writer.prepare()
  const cluster = offset / clusterSize
  const l1Index = Math.floor(offset / geometry.l2Coverage)
  let host: number | undefined
  for (;;) {
    image.corruption.assertWritable()
    if (l1.copied(l1Index)) writer.overlap.assertTable(mapper.sliceOffset(offset))
    const other = inFlight.find(cluster, cluster + 1)
    if (other !== undefined) await other.done
    else if (!l1.copied(l1Index)) await ownTable(writer, l1Index)
    else if ((host = allocator.tryAllocateBytes(packed.length)) === undefined) await allocator.prepareBytes()
    else break
  }
  const flight = inFlight.add(cluster, cluster + 1)
  const place = touched(host, packed.length, clusterSize)
  try {
    if (host + packed.length > compressedOffsetLimit(geometry)) {
      await release(writer, [place])
      return false
    }
    await file.write(host, packed)
    let slice = cachedSlice(writer, offset)
    while (slice === undefined) {
      await mapper.load(offset)
      slice = cachedSlice(writer, offset)
    }
    const index = mapper.indexInSlice(offset)
    mapper.assertValid(slice, index, cluster)
    dropEntry(writer, slice, index, 'other')
    setCompressedEntry(geometry, slice.view, index, host, packed.length)
    image.l2Cache.markDirty(slice, index * geometry.l2EntrySize, geometry.l2EntrySize)
    writer.relieveEarly()
    return true
  } catch (error) {
    await release(writer, [place]).catch(() => {})
    throw error
  } finally {
    flight.finish()
  }
}

/** The host clusters that hold some of the data. */
function touched(offset: number, bytes: number, clusterSize: number): PendingFree {
  const first = Math.floor(offset / clusterSize)
  return { first, count: Math.floor((offset + bytes - 1) / clusterSize) - first + 1, reason: 'other' }
}
