import { isBlockError, RequestFlag } from '@blockloom/block-driver'
import { allocateRun } from './allocate-run.ts'
import { exclusively } from './exclusive.ts'
import { rewriteHeaderArea } from './header-rewrite.ts'
import type { Qcow2Image } from './image.ts'
import { viewOf } from './on-disk/integers.ts'
import { refcountCodec, setRefcountBlockOffset } from './on-disk/refcount.ts'
import type { PendingFree } from './pending-frees.ts'
import type { ClusterRun } from './refcount-deltas.ts'
import { release } from './release.ts'
import { dropClusters } from './resize.ts'
import { clustersFor, hostOffset } from './units.ts'
import type { Qcow2Writer } from './writer.ts'
import { zeroGuest } from './zero.ts'

/**
 * Drops all guest data of this layer: everything is read from the backing file, or as zeroes.
 *
 * An image that holds nothing else (no snapshots, bitmaps, LUKS header, external data file) starts over: its L1 table and
 * refcounts are made anew at the start of the file, and the file becomes as short as that. A crash leaves the old content
 * or none. Otherwise the clusters of the disk are dropped one by one, and a crash leaves some of them; the file keeps its
 * length. A raw external data file, which must show the disk by itself, is zeroed.
 *
 * @internal
 */
export async function makeEmpty(writer: Qcow2Writer): Promise<void> {
  const { image } = writer
  image.corruption.assertWritable()
  // The guest's disk changes.
  if (!writer.ready) await writer.prepare()
  await exclusively(writer, async () => {
    if (canStartOver(image)) await startOver(writer)
    else await dropAll(writer)
  })
}

function canStartOver(image: Qcow2Image): boolean {
  const { header, area, geometry } = image
  if (header.snapshotCount > 0 || area.extensions.bitmaps !== null || header.encryption === 'luks' || image.externalData) return false
  return placesOf(image).end <= geometry.refcountBlockEntries
}

async function dropAll(writer: Qcow2Writer): Promise<void> {
  const { image } = writer
  const { header, geometry, dataFile, options } = image
  if (header.features.rawExternalData) await zeroGuest(writer, 0, header.size, RequestFlag.MAY_UNMAP)
  else await dropClusters(writer, 0, clustersFor(geometry, header.size) * geometry.clusterSize, 'snapshot')
  await writer.committer.run(true)
  await writer.settle()
  // Only now does nothing on disk point there any more.
  if (image.externalData && !header.features.rawExternalData && options['pass-discard-snapshot']) {
    await dataFile!.discard(0, header.size).catch(() => {})
  }
}

/** Where the structures of an empty image are, in clusters. */
interface Places {
  readonly table: ClusterRun
  readonly l1: ClusterRun
  /** Places of refcount blocks by their entries in the table. */
  readonly blocks: ReadonlyMap<number, number>
}

/** Where the reference has them. */
function placesOf({ geometry, l1 }: Qcow2Image): Places & { readonly end: number } {
  const count = clustersFor(geometry, l1.entries * 8)
  return { table: { first: 1, count: 1 }, blocks: new Map([[0, 2]]), l1: { first: 3, count }, end: 3 + count }
}

/**
 * Two steps, each of which is one write to the header: to new structures in free places, then, when nothing points to
 * the start of the file any more, to the same ones there.
 */
async function startOver(writer: Qcow2Writer): Promise<void> {
  const { image } = writer
  const last = placesOf(image)
  const taken: PendingFree[] = []
  try {
    const first = await takePlaces(writer, last, taken)
    await writer.settle()
    await turnTo(writer, first)
  } catch (error) {
    // Unless it is not known what the header says.
    if (image.corruption.first === null) await release(writer, taken).catch(() => {})
    throw error
  }
  await turnTo(writer, last)
  try {
    await image.file.resize(last.end * image.clusterSize)
  } catch (error) {
    // A host device keeps its size.
    if (!isBlockError(error, 'unsupported')) throw error
  }
}

async function takePlaces(writer: Qcow2Writer, last: Places & { readonly end: number }, taken: PendingFree[]): Promise<Places> {
  const { refcounts, image } = writer
  const { clusterSize, geometry } = image
  for (;;) {
    const clusters = refcounts.tableBytes / clusterSize
    const l1 = await takeBehind(writer, last.l1.count, last.end, taken)
    const table = await takeBehind(writer, clusters, last.end, taken)
    const indices = new Set([0])
    const count = ({ first, count: length }: ClusterRun): void => {
      for (let cluster = first; cluster < first + length; cluster++) indices.add(Math.floor(cluster / geometry.refcountBlockEntries))
    }
    count(l1)
    count(table)
    const blocks = new Map<number, number>()
    // Blocks are counted too: there may be more while we look.
    for (const index of indices) {
      const block = await takeBehind(writer, 1, last.end, taken)
      blocks.set(index, block.first)
      count(block)
    }
    // Otherwise it has grown meanwhile, and so must its successor.
    if (clusters === refcounts.tableBytes / clusterSize) return { table, l1, blocks }
  }
}

/** Takes clusters that are not needed in the second step. */
async function takeBehind(writer: Qcow2Writer, count: number, end: number, taken: PendingFree[]): Promise<ClusterRun> {
  if (count === 0) return { first: 0, count }
  for (;;) {
    const run = await allocateRun(writer, count)
    taken.push({ first: run.first, count, reason: 'other' })
    if (run.first >= end) return { first: run.first, count }
  }
}

async function turnTo(writer: Qcow2Writer, places: Places): Promise<void> {
  using _turn = writer.structure.tryAcquire() ?? (await writer.structure.acquire())
  const { image, refcounts } = writer
  const { file, clusterSize, geometry, l1, l2Cache } = image
  const table = new Uint8Array(places.table.count * clusterSize)
  for (const [index, place] of places.blocks) {
    setRefcountBlockOffset(viewOf(table), index, place * clusterSize)
    await file.write(place * clusterSize, blockOf(image, places, index))
  }
  const refcountTableOffset = hostOffset(places.table.first * clusterSize)
  await file.write(refcountTableOffset, table)
  const l1Offset = hostOffset(places.l1.first * clusterSize)
  if (places.l1.count > 0) await file.zero(l1Offset, places.l1.count * clusterSize)
  await rewriteHeaderArea(image, (area) => ({
    ...area,
    header: { ...area.header, l1Offset, refcountTableOffset, refcountTableClusters: places.table.count },
  }))

  // From here on nothing waits: what is in memory must be what is on disk.
  refcounts.startOver(geometry, refcountTableOffset, table)
  l1.replace(l1Offset, new Uint8Array(l1.entries * 8))
  l2Cache.invalidate()
  image.compressed.forgetAll()
  writer.overlap.renew()
  writer.allocator.startOver(0)
}

/** The refcount block of table entry `index`: 1 for the header and for all that is at `places`. */
function blockOf({ geometry, clusterSize }: Qcow2Image, { table, l1, blocks }: Places, index: number): Uint8Array {
  const bytes = new Uint8Array(clusterSize)
  const view = viewOf(bytes)
  const codec = refcountCodec(geometry.refcountBits)
  const entries = geometry.refcountBlockEntries
  const runs: ClusterRun[] = [{ first: 0, count: 1 }, table, l1, ...[...blocks.values()].map((first) => ({ first, count: 1 }))]
  for (const { first, count } of runs) {
    const from = Math.max(first, index * entries)
    codec.fill(view, from - index * entries, Math.min(first + count, (index + 1) * entries) - from, 1)
  }
  return bytes
}
