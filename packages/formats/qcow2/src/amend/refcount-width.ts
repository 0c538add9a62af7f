import { BlockError } from '@blockloom/block-driver'
import { allocateRun } from '../allocate-run.ts'
import { hex } from '../corruption.ts'
import { rewriteHeaderArea } from '../header-rewrite.ts'
import { viewOf } from '../on-disk/integers.ts'
import { MAX_REFCOUNT_TABLE_BYTES } from '../on-disk/limits.ts'
import { maxRefcount, refcountCodec, setRefcountBlockOffset } from '../on-disk/refcount.ts'
import type { PendingFree } from '../pending-frees.ts'
import type { ClusterRun } from '../refcount-deltas.ts'
import { release } from '../release.ts'
import { createGeometry, hostOffset, type Geometry, type RefcountBits } from '../units.ts'
import type { Qcow2Writer } from '../writer.ts'
import type { StepProgress } from './progress.ts'
import { RefcountBlocks } from './refcount-blocks.ts'

/**
 * Checks that all refcounts fit into another width.
 *
 * @throws BlockError `unsupported` (ENOTSUP) that names the first cluster whose refcount is too large
 * @internal
 */
export async function checkRefcountsFit(writer: Qcow2Writer, bits: RefcountBits): Promise<void> {
  const { geometry, clusterSize } = writer.image
  if (bits >= geometry.refcountBits) return
  const max = maxRefcount(bits)
  const { codec } = writer.refcounts
  const blocks = new RefcountBlocks(writer)
  for (let index = 0; index < blocks.length; index++) {
    const block = await blocks.read(index)
    for (let i = 0; block !== null && i < geometry.refcountBlockEntries; i++) {
      const refcount = codec.get(block, i)
      if (refcount <= max) continue
      const offset = (index * geometry.refcountBlockEntries + i) * clusterSize
      throw new BlockError('unsupported', `Cannot decrease refcount entry width to ${bits} bits: Cluster at offset ${hex(offset)} has a refcount of ${refcount}`, {
        detail: { option: 'refcount_bits', offset },
      })
    }
  }
}

/**
 * Stores all refcounts in another width. They are written to new places, then one write to the header makes it point
 * there and says the new width: a crash leaves the old refcounts or the new ones, and leaks the others.
 *
 * Reads and writes one block at a time. Only for those who have the image for themselves.
 *
 * @throws what {@link checkRefcountsFit} throws; `no-space` if the refcount table would be too large
 * @internal
 */
export async function changeRefcountWidth(writer: Qcow2Writer, order: number, progress: StepProgress): Promise<void> {
  const { image, refcounts, frees } = writer
  const { clusterSize, extendedL2, clusterBits } = image.geometry
  const geometry = createGeometry({ clusterBits, refcountOrder: order, extendedL2 })
  await checkRefcountsFit(writer, geometry.refcountBits)
  const taken: PendingFree[] = []
  const old: PendingFree[] = []
  try {
    const places = await reserve(writer, geometry, taken)
    old.push({ first: refcounts.tableOffset / clusterSize, count: refcounts.tableBytes / clusterSize, reason: 'other' })
    for (let index = 0; index < refcounts.tableEntries; index++) {
      const offset = refcounts.blockOffset(index)
      if (offset !== 0) old.push({ first: offset / clusterSize, count: 1, reason: 'other' })
    }
    old.push(...places.surplus)
    await turnTo(writer, geometry, places, progress)
  } catch (error) {
    // Unless it is not known what the header says.
    if (image.corruption.first === null) await release(writer, taken).catch(() => {})
    throw error
  }
  for (const { first, count, reason } of old) frees.add(first, count, reason)
  await writer.settle().catch((error: unknown) => image.warn(`Clusters leaked: ${error instanceof Error ? error.message : String(error)}`))
}

/** Where the new structures go, in clusters. */
interface Places {
  readonly table: ClusterRun
  /** By entries of the new table. */
  readonly blocks: ReadonlyMap<number, number>
  /** Taken in vain. */
  readonly surplus: readonly PendingFree[]
}

/** Takes places until there is one for each block that is needed, also for the clusters that were taken meanwhile. */
async function reserve(writer: Qcow2Writer, geometry: Geometry, taken: PendingFree[]): Promise<Places> {
  const { clusterSize } = geometry
  const clusters: number[] = []
  const surplus: PendingFree[] = []
  let table: ClusterRun | null = null
  for (;;) {
    await writer.settle()
    const needed = await neededBlocks(writer, geometry)
    const tableClusters = Math.max(1, Math.ceil(((needed.at(-1) ?? 0) + 1) / geometry.tableEntriesPerCluster))
    if (tableClusters * clusterSize > MAX_REFCOUNT_TABLE_BYTES) {
      throw new BlockError('no-space', 'This operation would make the refcount table grow beyond the maximum size supported by QEMU, aborting', {
        errno: 'ENOTSUP',
        detail: { option: 'refcount_bits' },
      })
    }
    const enough: boolean = clusters.length >= needed.length && table !== null && table.count >= tableClusters
    if (enough) {
      for (const first of clusters.splice(needed.length)) surplus.push({ first, count: 1, reason: 'other' })
      return { table: table!, blocks: new Map(needed.map((index, i) => [index, clusters[i]!])), surplus }
    }
    while (clusters.length < needed.length) {
      const { first, count } = await writer.allocator.allocate(needed.length - clusters.length)
      taken.push({ first, count, reason: 'other' })
      for (let i = 0; i < count; i++) clusters.push(first + i)
    }
    if (table === null || table.count < tableClusters) {
      if (table !== null) surplus.push({ ...table, reason: 'other' })
      const { first } = await allocateRun(writer, tableClusters)
      table = { first, count: tableClusters }
      taken.push({ ...table, reason: 'other' })
    }
  }
}

/** Which blocks of the new width have a refcount that is not zero, ascending. */
async function neededBlocks(writer: Qcow2Writer, geometry: Geometry): Promise<number[]> {
  const { refcountBlockEntries } = writer.image.geometry
  const { codec } = writer.refcounts
  const needed: number[] = []
  const blocks = new RefcountBlocks(writer)
  for (let index = 0; index < blocks.length; index++) {
    const block = await blocks.read(index)
    for (let i = 0; block !== null && i < refcountBlockEntries; i++) {
      if (codec.get(block, i) === 0) continue
      const wanted = Math.floor((index * refcountBlockEntries + i) / geometry.refcountBlockEntries)
      if (needed.at(-1) !== wanted) needed.push(wanted)
      // On to the first cluster that the next one counts.
      i = (wanted + 1) * geometry.refcountBlockEntries - index * refcountBlockEntries - 1
    }
  }
  return needed
}

async function turnTo(writer: Qcow2Writer, geometry: Geometry, places: Places, progress: StepProgress): Promise<void> {
  using _turn = writer.structure.tryAcquire() ?? (await writer.structure.acquire())
  const { image, refcounts } = writer
  const { file, clusterSize } = image
  const table = new Uint8Array(places.table.count * clusterSize)
  const old = new RefcountBlocks(writer)
  let written = 0
  for (const [index, place] of places.blocks) {
    await file.write(place * clusterSize, await converted(writer, old, geometry, index))
    setRefcountBlockOffset(viewOf(table), index, place * clusterSize)
    progress(++written, places.blocks.size)
  }
  const refcountTableOffset = hostOffset(places.table.first * clusterSize)
  await file.write(refcountTableOffset, table)
  await rewriteHeaderArea(image, (area) => ({
    ...area,
    header: { ...area.header, refcountTableOffset, refcountTableClusters: places.table.count, refcountOrder: geometry.refcountOrder },
  }))
  refcounts.startOver(geometry, refcountTableOffset, table)
  writer.allocator.changeGeometry(geometry)
  writer.overlap.renew()
}

/** The block of entry `index` of the new table. */
async function converted(writer: Qcow2Writer, old: RefcountBlocks, geometry: Geometry, index: number): Promise<Uint8Array> {
  const { refcountBlockEntries } = writer.image.geometry
  const from = writer.refcounts.codec
  const to = refcountCodec(geometry.refcountBits)
  const bytes = new Uint8Array(geometry.clusterSize)
  const view = viewOf(bytes)
  const first = index * geometry.refcountBlockEntries
  const end = Math.min(first + geometry.refcountBlockEntries, old.length * refcountBlockEntries)
  for (let cluster = first; cluster < end; ) {
    const oldIndex = Math.floor(cluster / refcountBlockEntries)
    const next = Math.min(end, (oldIndex + 1) * refcountBlockEntries)
    const block = await old.read(oldIndex)
    for (; block !== null && cluster < next; cluster++) {
      const refcount = from.get(block, cluster - oldIndex * refcountBlockEntries)
      if (refcount !== 0) to.set(view, cluster - first, refcount)
    }
    cluster = next
  }
  return bytes
}
