import { BlockError } from '@blockloom/block-driver'
import { openRefcounts } from '../check/check.ts'
import { Findings } from '../check/findings.ts'
import type { RefcountReader } from '../check/refcount-reader.ts'
import { eachPass, lengthOf, type Walk } from '../check/walk.ts'
import { HEADER_FIELDS } from '../on-disk/header.ts'
import { MAX_REFCOUNT_ORDER } from '../on-disk/limits.ts'
import { createGeometry, hostOffset, type Geometry } from '../units.ts'
import { changeHeader } from './change-header.ts'
import type { NewTables } from './move-tables.ts'
import { FreedClusters } from './freed-clusters.ts'
import { rebuildRefcounts } from './rebuild.ts'
import type { Spare } from './spare.ts'

/** An image that can be walked, with its refcounts. @internal */
export interface Examined {
  readonly walk: Walk
  readonly reader: RefcountReader
}

/** From the tables up to the refcount width, all in the first sector. Version 3. */
const TABLES_AND_WIDTH = [24, 100] as const

/**
 * Makes new refcount structures, then has the header lead to them and to what else is new, with one write.
 *
 * @param spare - has a place for the snapshot table
 * @param widens - some clusters have more uses than a refcount can say
 * @param findings - is told what becomes of the old refcount structures; null if nobody wants to know
 * @internal
 */
export async function switchTables({ walk, reader }: Examined, given: NewTables | null, spare: Spare, widens: boolean, findings: Findings | null): Promise<Examined> {
  const { file, area } = walk
  const tables = await placeSnapshotTable(walk, given, spare)
  const snapshots = tables?.snapshots ?? walk.snapshots
  const header = { ...area.header, ...tables?.header }
  const next: Walk = { ...walk, area: { ...area, header }, snapshots, reader: null, fileLength: await lengthOf(walk) }
  const geometry = widens ? await wideEnough(next) : walk.geometry
  const old = { area, reader, regions: tables?.left ?? [] }
  const freed = new FreedClusters(file, geometry.clusterSize)
  const table = await rebuildRefcounts({ ...next, geometry }, old, findings, freed)
  const changed = await changeHeader(file, area, widens ? TABLES_AND_WIDTH : HEADER_FIELDS.tables, {
    ...tables?.header,
    refcountOrder: geometry.refcountOrder,
    refcountTableOffset: hostOffset(table.offset),
    refcountTableClusters: table.clusters,
  })
  await freed.discard()
  const source = { file, area: changed, geometry: changed.geometry }
  const failed = new Findings(undefined)
  const newReader = await openRefcounts(source, failed)
  if (newReader === null) throw new BlockError('io', 'The new refcount table cannot be read')
  return { walk: { ...walk, ...source, snapshots, reader: newReader, fileLength: await lengthOf(walk) }, reader: newReader }
}

/** Writes the new snapshot table, if there is one. */
async function placeSnapshotTable({ file, geometry }: Walk, tables: NewTables | null, spare: Spare): Promise<NewTables | null> {
  if (tables === null || tables.snapshotTable === null) return tables
  const { snapshotTable, header } = tables
  if (snapshotTable.length === 0) return { ...tables, header: { ...header, snapshotTableOffset: hostOffset(0) } }
  const place = spare.take(Math.ceil(snapshotTable.length / geometry.clusterSize)) * geometry.clusterSize
  await file.write(place, snapshotTable)
  return { ...tables, header: { ...header, snapshotTableOffset: hostOffset(place) } }
}

/** Refcounts of at least 16 bits, and wide enough for all uses. */
async function wideEnough(walk: Walk): Promise<Geometry> {
  const { clusterBits, refcountOrder, extendedL2 } = walk.geometry
  for (let order = Math.max(4, refcountOrder + 1); ; order++) {
    const geometry = createGeometry({ clusterBits, refcountOrder: Math.min(order, MAX_REFCOUNT_ORDER), extendedL2 })
    if (order >= MAX_REFCOUNT_ORDER) return geometry
    let overflows = false
    await eachPass({ ...walk, geometry }, {}, async (pass) => {
      overflows ||= pass.overflows
    })
    if (!overflows) return geometry
  }
}
