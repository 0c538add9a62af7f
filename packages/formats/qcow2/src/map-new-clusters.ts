import type { Preallocation } from '@blockloom/block-driver'
import type { TableEntry } from '@blockloom/driver-kit'
import { writeEncryptedZeroes } from './encryption/encrypted-data.ts'
import { linkZeroes } from './encryption/link-zeroes.ts'
import { cachedSlice, link } from './link.ts'
import { classifyCluster } from './on-disk/l2.ts'
import { ownTable } from './own-table.ts'
import { release } from './release.ts'
import type { Qcow2Writer } from './writer.ts'

/** Largest run that is prepared at once, bytes. */
const PIECE = 64 * 1024 * 1024

/**
 * Gives host clusters to all guest clusters from `from` (a multiple of the cluster size) to `to` that have none; they
 * read as zeroes. For a disk that grows: nobody uses these clusters yet.
 *
 * `metadata` reserves places in the file, `falloc` has the host reserve space for them, `full` writes zeroes.
 *
 * @internal
 */
export async function mapNewClusters(writer: Qcow2Writer, from: number, to: number, how: Preallocation): Promise<void> {
  const { image, inFlight, allocator } = writer
  const { clusterSize, geometry, mapper, l1, externalData } = image
  for (let at = from; at < to; ) {
    const l1Index = Math.floor(at / geometry.l2Coverage)
    const slice = l1.copied(l1Index) ? cachedSlice(writer, at) : undefined
    if (slice === undefined) {
      await (l1.copied(l1Index) ? mapper.load(at) : ownTable(writer, l1Index))
      continue
    }
    const first = at / clusterSize
    const index = mapper.indexInSlice(at)
    const most = Math.min(Math.ceil(to / clusterSize) - first, mapper.sliceCoverage / clusterSize - index, Math.max(1, PIECE / clusterSize))
    let count = 0
    while (count < most && isEmpty(writer, slice, index + count)) count++
    if (count === 0) {
      at += clusterSize
      continue
    }
    const allocated = externalData ? { first, count, virgin: false } : allocator.tryAllocate(count)
    if (allocated === undefined) {
      await allocator.prepare(1)
      continue
    }
    const host = allocated.first * clusterSize
    const end = (first + allocated.count) * clusterSize
    const flight = inFlight.add(first, first + allocated.count)
    try {
      await reserve(writer, at, host, allocated.count * clusterSize, allocated.virgin, how)
      let now = cachedSlice(writer, at)
      while (now === undefined) {
        await mapper.load(at)
        now = cachedSlice(writer, at)
      }
      if (image.encryption !== null && image.version >= 3) linkZeroes(writer, now, index, host, allocated.count)
      else link(writer, now, { from: at, to: end, host, reuse: false })
    } catch (error) {
      if (!externalData) await release(writer, [{ first: allocated.first, count: allocated.count, reason: 'other' }]).catch(() => {})
      throw error
    } finally {
      flight.finish()
    }
    at = end
  }
}

/** Nothing is stored for the entry's cluster, and nothing is reserved. */
function isEmpty(writer: Qcow2Writer, slice: TableEntry, index: number): boolean {
  const { geometry, context } = writer.image
  const at = index * geometry.l2EntrySize
  const kind = classifyCluster(context, slice.view.getUint32(at), slice.view.getUint32(at + 4))
  return kind === 'unallocated' || kind === 'zero-plain'
}

async function reserve(writer: Qcow2Writer, guest: number, host: number, bytes: number, virgin: boolean, how: Preallocation): Promise<void> {
  const { encryption, version } = writer.image
  const dataFile = writer.image.dataFile!
  if (encryption !== null && version < 3) {
    // Version 2 has no entries that say zero.
    await writeEncryptedZeroes(dataFile, encryption.cipher!, guest, host, bytes)
  } else if (how === 'full') {
    const zeroes = new Uint8Array(Math.min(bytes, 1024 * 1024))
    for (let at = 0; at < bytes; at += zeroes.length) await dataFile.write(host + at, zeroes.subarray(0, Math.min(zeroes.length, bytes - at)))
  } else if (how === 'falloc' || !virgin) {
    await dataFile.zero(host, bytes)
  } else {
    // Places behind the end of the file would be an error to a check. One byte makes the file long enough; resizing it
    // could cut off what others are writing behind.
    await dataFile.write(host + bytes - 1, new Uint8Array(1))
  }
}
