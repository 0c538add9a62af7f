import { BlockError } from '@blockloom/block-driver'
import { commitLocked } from './commit.ts'
import { updateHeader } from './header-update.ts'
import { viewOf } from './on-disk/integers.ts'
import { HEADER_FIELDS } from './on-disk/header.ts'
import { MAX_REFCOUNT_TABLE_BYTES } from './on-disk/limits.ts'
import { setRefcountBlockOffset } from './on-disk/refcount.ts'
import { hostOffset } from './units.ts'
import type { Qcow2Writer } from './writer.ts'

/**
 * Moves the refcount table to a larger place.
 *
 * The new table and the blocks that count its clusters lie where the old table counts nothing, so everything there is
 * free. They are written and flushed, then the header points to the new table in one write, then the old one is
 * dropped: a crash leaves one or the other.
 *
 * @throws BlockError `no-space` (EFBIG) at the format's limit
 * @internal
 */
export async function growRefcountTable(writer: Qcow2Writer): Promise<void> {
  using _turn = writer.structure.tryAcquire() ?? (await writer.structure.acquire())
  const { image, refcounts } = writer
  const { geometry, clusterSize, file } = image
  const oldEntries = refcounts.tableEntries
  const { clusters, blocks } = layout(oldEntries, geometry.tableEntriesPerCluster, geometry.refcountBlockEntries)
  if (clusters * clusterSize > MAX_REFCOUNT_TABLE_BYTES) {
    throw new BlockError('no-space', 'The refcount table cannot grow any further', { errno: 'EFBIG' })
  }
  // Entries of new blocks must not get into the new table before the blocks are on disk.
  await commitLocked(writer, true)

  const base = oldEntries * geometry.refcountBlockEntries
  writer.overlap.assertFree(base, blocks + clusters)
  for (let block = 0; block < blocks; block++) {
    const counts = viewOf(new Uint8Array(clusterSize))
    const used = Math.min(geometry.refcountBlockEntries, blocks + clusters - block * geometry.refcountBlockEntries)
    refcounts.codec.fill(counts, 0, used, 1)
    await file.write((base + block) * clusterSize, new Uint8Array(counts.buffer))
  }
  const offset = hostOffset((base + blocks) * clusterSize)
  const table = refcounts.stableTable(clusters * clusterSize)
  for (let block = 0; block < blocks; block++) setRefcountBlockOffset(viewOf(table), oldEntries + block, (base + block) * clusterSize)
  await file.write(offset, table)
  await file.flush('stable')

  const old = image.header
  await updateHeader(image, HEADER_FIELDS.refcountTable, { refcountTableOffset: offset, refcountTableClusters: clusters })
  for (let block = 0; block < blocks; block++) writer.overlap.addTable(base + block, 'refcount block')
  refcounts.replaceTable(offset, table)
  writer.allocator.used(base, blocks + clusters)
  writer.frees.add(old.refcountTableOffset / clusterSize, old.refcountTableClusters, 'other')
}

/** How many clusters the new table takes, and how many new blocks count it and themselves. */
function layout(oldEntries: number, entriesPerCluster: number, blockEntries: number): { clusters: number; blocks: number } {
  // Half as much again, so that moves are rare and their cost is a constant part of all writes.
  let clusters = Math.max(1, Math.ceil((oldEntries * 1.5) / entriesPerCluster))
  for (;;) {
    let blocks = 1
    while (blocks * blockEntries < blocks + clusters) blocks++
    if (oldEntries + blocks <= clusters * entriesPerCluster) return { clusters, blocks }
    clusters++
  }
}
