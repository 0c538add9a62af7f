import { allocateRun } from './allocate-run.ts'
import { eachSlice } from './each-slice.ts'
import { updateHeader } from './header-update.ts'
import type { L2Table } from './cluster-references.ts'
import { inParallel } from './in-parallel.ts'
import { HEADER_FIELDS, type Header } from './on-disk/header.ts'
import { viewOf } from './on-disk/integers.ts'
import { setRefcountBlockOffset } from './on-disk/refcount.ts'
import type { PendingFree } from './pending-frees.ts'
import type { ClusterRun, RefcountDeltas } from './refcount-deltas.ts'
import { release } from './release.ts'
import { clustersFor, hostOffset } from './units.ts'
import type { Qcow2Writer } from './writer.ts'

/** An L2 table that is replaced by a copy with other COPIED flags. @internal */
export interface TableCopy {
  readonly l1Index: number
  /** Host offset of the table that is copied. */
  readonly from: number
  /** How many L1 tables will point to the copy. */
  readonly refcount: 1 | 2
  readonly change: (table: L2Table) => Promise<void> | void
  /** Host offset of the copy, once it has one. */
  place: number
}

/** New structures that come into force together, with one write to the header. @internal */
export interface MetadataSwitch {
  /** What happens to the refcounts of clusters that are in use; not those that the switch itself takes. */
  readonly deltas: RefcountDeltas
  readonly copies: readonly TableCopy[]
  /** Lengths in bytes of further structures, each of which gets neighbouring clusters. */
  readonly areas: readonly number[]
  /** Called when all copies and areas have their host offsets (0: of no length). */
  readonly build: (areas: readonly number[]) => {
    readonly contents: readonly Uint8Array[]
    readonly header: Partial<Header>
    /** The new active L1 table, if it changes. */
    readonly l1: Uint8Array | null
  }
}

/**
 * Replaces refcounts, L2 tables, L1 tables and the snapshot table all at once.
 *
 * Everything that changes is written to new places and flushed; then one write to the first sector of the file makes the
 * header point to all of it. So a crash leaves the old state or the new one, never COPIED flags and refcounts that
 * contradict each other; at worst, new places leak.
 *
 * Only for those who have the image for themselves.
 *
 * @throws what a request to the file threw: the image is as before. If the header cannot even be restored, nothing is
 *   changed any more through this instance, because it is not known which state is on disk
 * @internal
 */
export async function switchMetadata(writer: Qcow2Writer, change: MetadataSwitch): Promise<void> {
  const { image, refcounts, frees } = writer
  const { deltas, copies } = change
  deltas.verify()
  const taken: PendingFree[] = []
  try {
    const blocks = deltas.changedBlocks()
    const blockPlaces = await takeClusters(writer, blocks.length, taken)
    const copyPlaces = await takeClusters(writer, copies.length, taken)
    for (const [i, copy] of copies.entries()) {
      copy.place = copyPlaces[i]! * image.clusterSize
      if (copy.refcount === 2) await raise(writer, copyPlaces[i]!, taken)
    }
    const areas: number[] = []
    for (const bytes of change.areas) areas.push(await takeArea(writer, bytes, taken))
    const tablePlace = await takeTable(writer, taken)
    await writer.settle()
    const old = image.header
    const oldBlocks = blocks.map((index) => refcounts.blockOffset(index))
    await writeAndSwitch(writer, change, { blocks, blockPlaces, oldBlocks, areas, tablePlace })
    for (const offset of oldBlocks) frees.add(offset / image.clusterSize, 1, 'other')
    frees.add(old.refcountTableOffset / image.clusterSize, old.refcountTableClusters, 'other')
  } catch (error) {
    // Unless it is not known what the header says.
    if (image.corruption.first === null) await release(writer, taken).catch(() => {})
    throw error
  }
  const freed = deltas.freed()
  await discardFreed(writer, freed)
  writer.allocator.startOver(freed.reduce((lowest, { first }) => Math.min(lowest, first), Infinity))
  // The switch has been made; what cannot be tidied up now is with the next commit.
  await writer.settle().catch((error: unknown) => image.warn(`Clusters leaked: ${error instanceof Error ? error.message : String(error)}`))
}

interface Places {
  /** Table entries of the refcount blocks that change, where they go, and where they are. */
  readonly blocks: readonly number[]
  readonly blockPlaces: readonly number[]
  readonly oldBlocks: readonly number[]
  readonly areas: readonly number[]
  readonly tablePlace: number
}

async function writeAndSwitch(writer: Qcow2Writer, change: MetadataSwitch, places: Places): Promise<void> {
  using _turn = writer.structure.tryAcquire() ?? (await writer.structure.acquire())
  const { image, refcounts } = writer
  const { file, clusterSize, l1, l2Cache, compressed } = image
  const { blocks, blockPlaces, oldBlocks, areas } = places
  await inParallel(blocks, async (index, i) => file.write(blockPlaces[i]! * clusterSize, await change.deltas.changed(index)))
  await inParallel(change.copies, async (copy) => {
    const bytes = new Uint8Array(clusterSize)
    await file.read(copy.from, bytes)
    await copy.change({ l1Index: copy.l1Index, offset: copy.from, view: viewOf(bytes) })
    await file.write(copy.place, bytes)
  })
  const built = change.build(areas)
  for (const [i, content] of built.contents.entries()) if (content.length > 0) await file.write(areas[i]!, content)
  const table = refcounts.stableTable(refcounts.tableBytes)
  for (const [i, index] of blocks.entries()) setRefcountBlockOffset(viewOf(table), index, blockPlaces[i]! * clusterSize)
  const tableOffset = hostOffset(places.tablePlace * clusterSize)
  await file.write(tableOffset, table)
  await file.flush('stable')
  await updateHeader(image, HEADER_FIELDS.tables, { ...built.header, refcountTableOffset: tableOffset })

  // From here on nothing waits: what is in memory must be what is on disk.
  for (const offset of [...oldBlocks, ...blockPlaces.map((cluster) => cluster * clusterSize)]) {
    eachSlice(offset, clusterSize, refcounts.cache, (at) => refcounts.cache.drop(at))
  }
  refcounts.replaceTable(tableOffset, table)
  for (const { from, place } of change.copies) {
    for (const offset of [from, place]) eachSlice(offset, clusterSize, l2Cache, (at) => l2Cache.drop(at))
  }
  if (built.l1 !== null) l1.replace(image.header.l1Offset, built.l1)
  compressed.forgetAll()
  writer.overlap.renew()
}

async function takeClusters(writer: Qcow2Writer, count: number, taken: PendingFree[]): Promise<number[]> {
  const clusters: number[] = []
  while (clusters.length < count) {
    const got = await writer.allocator.allocate(count - clusters.length)
    taken.push({ first: got.first, count: got.count, reason: 'other' })
    for (let i = 0; i < got.count; i++) clusters.push(got.first + i)
  }
  return clusters
}

async function raise(writer: Qcow2Writer, cluster: number, taken: PendingFree[]): Promise<void> {
  const { refcounts } = writer
  while (refcounts.get(cluster) === undefined) await refcounts.load(cluster)
  refcounts.set(cluster, 2)
  taken.push({ first: cluster, count: 1, reason: 'other' })
}

async function takeArea(writer: Qcow2Writer, bytes: number, taken: PendingFree[]): Promise<number> {
  if (bytes === 0) return 0
  const { first, count } = await allocateRun(writer, clustersFor(writer.image.geometry, bytes))
  taken.push({ first, count, reason: 'other' })
  return first * writer.image.clusterSize
}

/** A place for the refcount table, which may itself have grown to have one. */
async function takeTable(writer: Qcow2Writer, taken: PendingFree[]): Promise<number> {
  for (;;) {
    const clusters = writer.image.header.refcountTableClusters
    const { first, count } = await allocateRun(writer, clusters)
    if (clusters === writer.image.header.refcountTableClusters) {
      taken.push({ first, count, reason: 'other' })
      return first
    }
    await release(writer, [{ first, count, reason: 'other' }])
  }
}

async function discardFreed(writer: Qcow2Writer, freed: readonly ClusterRun[]): Promise<void> {
  const { file, clusterSize, options } = writer.image
  if (!options['pass-discard-snapshot']) return
  await inParallel(freed, ({ first, count }) => file.discard(first * clusterSize, count * clusterSize).catch(() => {}))
}
