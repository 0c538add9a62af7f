import type { RefcountReader } from '../check/refcount-reader.ts'
import { reachesTooFar } from '../check/pass.ts'
import { eachPass, type Walk } from '../check/walk.ts'
import { HEADER_FIELDS } from '../on-disk/header.ts'
import { viewOf } from '../on-disk/integers.ts'
import { refcountCodec } from '../on-disk/refcount.ts'
import { hostOffset } from '../units.ts'
import { changeHeader } from './change-header.ts'
import { firstExceeding } from './exceeding.ts'
import { FreedClusters } from './freed-clusters.ts'
import type { NewTables } from './move-tables.ts'
import type { Examined } from './switch-tables.ts'

const SECTOR = 512

/**
 * Replaces the snapshot table alone, in an image whose refcounts are right: the new table gets clusters that the refcount
 * structures already have room for. A crash leaves the old table or the new one, at worst with leaked clusters.
 *
 * @returns null if there is no room; nothing has changed then
 * @internal
 */
export async function replaceSnapshotTable({ walk, reader }: Examined, { snapshotTable, header, snapshots }: NewTables): Promise<Examined | null> {
  const { file, area, geometry } = walk
  const { clusterSize } = geometry
  const table = snapshotTable!
  const clusters = Math.ceil(table.length / clusterSize)
  const first = clusters === 0 ? 0 : await findRoom(walk, reader, clusters)
  if (first === null) return null
  if (clusters > 0) {
    await changeRefcounts(walk, reader, first, clusters, () => 1)
    await file.write(first * clusterSize, table)
    await file.flush('stable')
  }
  const changed = await changeHeader(file, area, HEADER_FIELDS.snapshots, { ...header, snapshotTableOffset: hostOffset(first * clusterSize) })
  const old = area.header.snapshotTableOffset
  const { bytes } = walk.snapshots
  if (bytes > 0 && !reachesTooFar(walk, old, bytes)) {
    const freed = new FreedClusters(file, clusterSize)
    await changeRefcounts(walk, reader, old / clusterSize, Math.ceil(bytes / clusterSize), (refcount, cluster) => {
      if (refcount === 1) freed.add(cluster)
      return Math.max(0, refcount - 1)
    })
    await freed.discard()
  }
  return { walk: { ...walk, area: changed, snapshots }, reader }
}

/** The first run of clusters that nothing uses, and that refcount blocks count. */
async function findRoom(walk: Walk, reader: RefcountReader, count: number): Promise<number | null> {
  const { refcountBlockEntries, clusterSize } = walk.geometry
  const heldFrom = firstExceeding(walk)
  const heldTo = Math.ceil(walk.fileLength / clusterSize)
  let found: number | null = null
  await eachPass(walk, {}, async ({ counts, clusters }) => {
    let run = 0
    const end = Math.min(counts.limit, Math.max(counts.from, clusters) + count)
    for (let cluster = counts.from; cluster < end; cluster++) {
      const index = Math.floor(cluster / refcountBlockEntries)
      const isCounted = reader.blockOffset(index) !== 0 && !reader.isUnreadable(index)
      const isHeld = cluster >= heldFrom && cluster < heldTo
      run = isCounted && !isHeld && counts.isFree(cluster) ? run + 1 : 0
      if (run < count) continue
      found = cluster + 1 - count
      return 'enough'
    }
    return undefined
  })
  return found
}

/** Changes refcounts in blocks that are there; flushes. */
async function changeRefcounts(walk: Walk, reader: RefcountReader, first: number, count: number, change: (refcount: number, cluster: number) => number): Promise<void> {
  const { refcountBlockEntries, refcountBits } = walk.geometry
  const codec = refcountCodec(refcountBits)
  const perSector = (SECTOR * 8) / refcountBits
  const bytes = new Uint8Array(SECTOR)
  for (let cluster = first; cluster < first + count; ) {
    const inBlock = cluster % refcountBlockEntries
    const sector = Math.floor(inBlock / perSector)
    const end = Math.min(first + count, cluster - (inBlock % perSector) + perSector)
    const offset = reader.blockOffset(Math.floor(cluster / refcountBlockEntries)) + sector * SECTOR
    await walk.file.read(offset, bytes)
    for (; cluster < end; cluster++) {
      const at = (cluster % refcountBlockEntries) - sector * perSector
      codec.set(viewOf(bytes), at, change(codec.get(viewOf(bytes), at), cluster))
    }
    await walk.file.write(offset, bytes)
  }
  await walk.file.flush('stable')
  reader.forget()
}
