import { BlockError } from '@blockloom/block-driver'
import { allocateRun } from './allocate-run.ts'
import { commitLocked } from './commit.ts'
import { updateHeader } from './header-update.ts'
import { HEADER_FIELDS } from './on-disk/header.ts'
import { MAX_L1_BYTES } from './on-disk/limits.ts'
import { release } from './release.ts'
import { clustersFor, hostOffset, type HostOffset } from './units.ts'
import type { Qcow2Writer } from './writer.ts'

/**
 * Moves the active L1 table to a place with room for at least `entries` entries.
 *
 * The new table is written and flushed, then the header points to it in one write, then the old one is dropped: a crash
 * leaves one or the other.
 *
 * @throws BlockError `no-space` (EFBIG) at the format's limit
 * @internal
 */
export async function growL1(writer: Qcow2Writer, entries: number): Promise<void> {
  const { image } = writer
  if (entries <= image.l1.entries) return
  if (entries * 8 > MAX_L1_BYTES) throw new BlockError('no-space', 'The L1 table cannot grow any further', { errno: 'EFBIG' })
  // Outside the mutex: the refcount table may have to grow for it.
  const { first, count } = await allocateRun(writer, clustersFor(image.geometry, entries * 8))
  const place = { offset: hostOffset(first * image.clusterSize), bytes: count * image.clusterSize }
  try {
    await moveL1(writer, place, entries)
  } catch (error) {
    // Unless it is not known what the header says.
    if (image.corruption.first === null) await release(writer, [{ first, count, reason: 'other' }]).catch(() => {})
    throw error
  }
}

interface Place {
  readonly offset: HostOffset
  readonly bytes: number
}

async function moveL1(writer: Qcow2Writer, place: Place, entries: number): Promise<void> {
  using _turn = writer.structure.tryAcquire() ?? (await writer.structure.acquire())
  const { image, frees } = writer
  const { l1, file, clusterSize, geometry } = image
  // Makes the new clusters' refcounts stable, and the table on disk as new as it can be.
  await commitLocked(writer, true)
  // What is on disk, not what is in memory: that may point to tables which are not on disk yet.
  const bytes = new Uint8Array(place.bytes)
  if (l1.entries > 0) await file.read(l1.offset, bytes.subarray(0, l1.entries * 8))
  await file.write(place.offset, bytes)
  await file.flush('stable')
  const old = image.header
  await updateHeader(image, HEADER_FIELDS.l1, { l1Offset: place.offset, l1Entries: entries })
  l1.move(place.offset, entries)
  if (old.l1Entries > 0) frees.add(old.l1Offset / clusterSize, clustersFor(geometry, old.l1Entries * 8), 'other')
}
