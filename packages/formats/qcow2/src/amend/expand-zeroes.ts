import type { L2Table } from '../cluster-references.ts'
import { hex } from '../corruption.ts'
import { eachSlice } from '../each-slice.ts'
import { writeEncryptedZeroes } from '../encryption/encrypted-data.ts'
import type { Qcow2Image } from '../image.ts'
import { viewOf } from '../on-disk/integers.ts'
import { l1TableOffset } from '../on-disk/l1.ts'
import { classifyCluster, isUsableClusterOffset, l2HostOffset, setL2Entry } from '../on-disk/l2.ts'
import { STRUCTURE } from '../overlap/structures.ts'
import type { PendingFree } from '../pending-frees.ts'
import { release } from '../release.ts'
import type { SnapshotStore } from '../snapshot-store.ts'
import type { Qcow2Writer } from '../writer.ts'
import { eachTableOfAll } from './each-table.ts'
import type { StepProgress } from './progress.ts'

/**
 * Replaces all zero clusters, which version 2 does not have, on the disk and in snapshots: by nothing, or, if there is a
 * backing file that would show, by clusters of zeroes. One that has a host cluster for itself keeps it, with zeroes in it.
 *
 * Each table is changed in place, when the new clusters and their refcounts are stable, and every entry reads the same
 * before and after: a crash leaves some of it. One table at a time is in memory. Only for those who have the image for
 * themselves.
 *
 * @internal
 */
export async function expandZeroes(writer: Qcow2Writer, store: SnapshotStore, progress: StepProgress): Promise<void> {
  const { image } = writer
  const hidesBacking = image.area.backingFile !== null || image.backing.current !== null
  await eachTableOfAll(image, store, (table) => expandTable(writer, store, table, hidesBacking), progress)
  await writer.committer.run(true)
  await writer.settle()
}

async function expandTable(writer: Qcow2Writer, store: SnapshotStore, table: L2Table, hidesBacking: boolean): Promise<void> {
  const { image } = writer
  const { geometry, clusterSize, file, l2Cache } = image
  const zeroes = zeroEntries(image, table)
  if (zeroes.length === 0) return
  writer.overlap.assertFree(table.offset / clusterSize, 1, STRUCTURE.activeL2 + STRUCTURE.inactiveL2)
  const { references, atMost } = await referencesTo(writer, store, table)
  const { empty, dropped } = await fillOwn(writer, table, zeroes, references)
  const taken: PendingFree[] = []
  let isWriting = false
  try {
    if (hidesBacking) await mapZeroes(writer, table, empty, atMost, taken)
    else for (const index of empty) setL2Entry(geometry, table.view, index, 0, false, false)
    await writer.committer.run(true)
    isWriting = true
    await file.write(table.offset, new Uint8Array(table.view.buffer, table.view.byteOffset, clusterSize))
  } catch (error) {
    // What there is of the table may point to the new clusters: then they leak.
    if (!isWriting) await release(writer, taken).catch(() => {})
    throw error
  } finally {
    eachSlice(table.offset, clusterSize, l2Cache, (at) => l2Cache.drop(at))
  }
  // The next commit frees them, when the table is stable.
  for (const cluster of dropped) for (let i = 0; i < references; i++) writer.frees.add(cluster, 1, 'other')
}

/**
 * How many L1 tables have this table, and so refer to all that it maps: in the same place, and anywhere. The second is
 * its refcount, which may be too high: that is a leak. Nothing is dropped but what is known to be referred to.
 */
async function referencesTo(writer: Qcow2Writer, store: SnapshotStore, { l1Index, offset }: L2Table): Promise<{ references: number; atMost: number }> {
  const { image, refcounts } = writer
  const refcount = await refcounts.read(offset / image.clusterSize)
  const entry = viewOf(new Uint8Array(8))
  let references = image.l1.tableOffset(l1Index) === offset ? 1 : 0
  // Of those that the refcount allows.
  for (const { l1Offset, l1Entries } of refcount <= references ? [] : store.entries) {
    if (l1Index >= l1Entries) continue
    await image.file.read(l1Offset + l1Index * 8, new Uint8Array(entry.buffer))
    if (l1TableOffset(entry.getUint32(0), entry.getUint32(4)) === offset) references++
  }
  if (refcount < Math.max(1, references)) throw image.corruption.found(`Cluster ${offset / image.clusterSize} is in use, but its refcount is too low`)
  return { references, atMost: Math.max(1, Math.min(refcount, 1 + store.entries.length)) }
}

/** Indices of entries that say zero. */
function zeroEntries({ geometry, context }: Qcow2Image, { view }: L2Table): number[] {
  const found: number[] = []
  for (let i = 0; i < geometry.l2Entries; i++) {
    const kind = classifyCluster(context, view.getUint32(i * 8), view.getUint32(i * 8 + 4))
    if (kind === 'zero-plain' || kind === 'zero-alloc') found.push(i)
  }
  return found
}

/**
 * Writes zeroes to the host clusters that only this table has, and makes their entries normal. The others are `empty`;
 * `dropped` are those of them that hold something else for somebody else.
 */
async function fillOwn(writer: Qcow2Writer, table: L2Table, zeroes: readonly number[], references: number): Promise<{ empty: number[]; dropped: number[] }> {
  const { image, refcounts } = writer
  const { geometry, clusterSize } = image
  const empty: number[] = []
  const dropped: number[] = []
  for (const index of zeroes) {
    const host = l2HostOffset(table.view.getUint32(index * 8), table.view.getUint32(index * 8 + 4))
    if (host === 0) {
      empty.push(index)
      continue
    }
    if (!isUsableClusterOffset(geometry, host)) {
      throw image.corruption.found(`Preallocated zero cluster offset ${hex(host)} unaligned (L2 offset: ${hex(table.offset)}, L2 index: ${hex(index)})`)
    }
    const cluster = host / clusterSize
    const refcount = await refcounts.read(cluster)
    if (refcount < references) throw image.corruption.found(`Cluster ${cluster} is in use, but its refcount is too low`)
    if (refcount > references) {
      dropped.push(cluster)
      empty.push(index)
      continue
    }
    writer.overlap.assertFree(cluster, 1)
    await writeZeroes(image, table, index, host, 1)
    setL2Entry(geometry, table.view, index, host, refcount === 1, false)
  }
  return { empty, dropped }
}

/** Gives new clusters of zeroes to entries. */
async function mapZeroes(writer: Qcow2Writer, table: L2Table, indices: readonly number[], references: number, taken: PendingFree[]): Promise<void> {
  const { image, refcounts } = writer
  const { geometry, clusterSize } = image
  for (let done = 0; done < indices.length; ) {
    const index = indices[done]!
    let want = 1
    while (indices[done + want] === index + want) want++
    const { first, count } = await writer.allocator.allocate(want)
    taken.push({ first, count, reason: 'other' })
    for (let i = 0; i < count && references > 1; i++) {
      while (refcounts.get(first + i) === undefined) await refcounts.load(first + i)
      refcounts.set(first + i, references)
      for (let more = 1; more < references; more++) taken.push({ first: first + i, count: 1, reason: 'other' })
    }
    await writeZeroes(image, table, index, first * clusterSize, count)
    for (let i = 0; i < count; i++) setL2Entry(geometry, table.view, index + i, (first + i) * clusterSize, references === 1, false)
    done += count
  }
}

/** Writes what reads as zeroes for entries from `index` on. */
async function writeZeroes({ geometry, clusterSize, file, encryption }: Qcow2Image, table: L2Table, index: number, host: number, count: number): Promise<void> {
  const guest = table.l1Index * geometry.l2Coverage + index * clusterSize
  if (encryption === null) await file.zero(host, count * clusterSize)
  else await writeEncryptedZeroes(file, encryption.cipher!, guest, host, count * clusterSize)
}
