import { openRefcounts } from '../check/check.ts'
import { compareRefcounts } from '../check/compare-refcounts.ts'
import { Findings } from '../check/findings.ts'
import type { CheckSource, Pass } from '../check/pass.ts'
import { eachPass, lengthOf, type Walk } from '../check/walk.ts'
import { HEADER_FIELDS } from '../on-disk/header.ts'
import { changeHeader } from './change-header.ts'
import type { Forced } from './mend.ts'
import { dropBitmaps, mendBitmapTables, readBitmapsToRepair } from './mend-bitmaps.ts'
import { moveTables, type NewTables } from './move-tables.ts'
import { readSnapshotsToRepair, type RepairedSnapshots } from './read-snapshots.ts'
import { repairCopied } from './repair-copied.ts'
import { repairRefcounts } from './repair-refcounts.ts'
import { findSharedTables } from './shared-tables.ts'
import { Spare } from './spare.ts'
import { replaceSnapshotTable } from './replace-snapshots.ts'
import { switchTables, type Examined } from './switch-tables.ts'

/** Moving a table can show that another one has to be moved. */
const MAX_ROUNDS = 8

/** An image with the snapshots that a repair may write again. */
interface Repairable extends Examined {
  readonly snapshots: RepairedSnapshots
}

/** An image whose tables are mended; those that had to move are not in force yet. */
interface Mended {
  readonly image: Repairable
  readonly tables: NewTables | null
}

/** What a look at all refcounts found. */
interface Seen {
  needsRebuild: boolean
  overflows: boolean
  suspectsCopied: boolean
  /** From here on nothing is used. */
  clusters: number
}

/**
 * Repairs everything: first the entries and tables, then the refcounts, then the COPIED flags.
 *
 * @returns null if the image cannot be examined, which is told
 * @internal
 */
export async function repairErrors(source: CheckSource, how: Pick<Walk, 'signal' | 'memory'>, findings: Findings): Promise<Walk | null> {
  const found = await begin(source, how, findings)
  if (found === null) return null
  const structures = findings.fork()
  const refcounts = findings.fork()
  const seen: Seen = { needsRebuild: false, overflows: false, suspectsCopied: false, clusters: 0 }
  const isMendable = await examine(found, findings, structures, refcounts, seen)
  const spare = new Spare(seen.clusters)
  const isMended = isMendable || found.snapshots.changed
  const wasCorrupt = found.walk.area.header.features.corrupt
  const begun = isMended ? await markCorrupt(found, true) : found
  const mended = isMended ? await mend(begun, { activeL1: false, l2: new Set() }, spare, findings) : { image: begun, tables: null }
  if (isMendable) await examineMended(mended.image, refcounts, seen)
  const widens = seen.overflows && mended.image.walk.area.header.version >= 3
  const image = await repairAllRefcounts(mended, { spare, widens, structures, refcounts }, seen, findings)
  findings.corruptionsFixed += structures.corruptions
  const repaired = seen.suspectsCopied ? await repairAllCopied(image, findings) : image
  return (await markCorrupt(repaired, wasCorrupt)).walk
}

/**
 * From the first table that is mended to the last refcount, clusters may have more uses than they are counted for. Nobody
 * may write to the image if the power goes then. Version 2 cannot say so.
 */
async function markCorrupt(image: Repairable, corrupt: boolean): Promise<Repairable> {
  const { walk } = image
  const { version, features } = walk.area.header
  if (version < 3 || features.corrupt === corrupt) return image
  if (!corrupt) await walk.file.flush('stable')
  const area = await changeHeader(walk.file, walk.area, HEADER_FIELDS.incompatible, { features: { ...features, corrupt } })
  return { ...image, walk: { ...walk, area } }
}

/** How the refcounts are repaired, and what is wrong with them. */
interface RefcountRepair {
  readonly spare: Spare
  readonly widens: boolean
  readonly structures: Findings
  readonly refcounts: Findings
}

/** Puts right the refcounts, and brings tables that had to move into force. */
async function repairAllRefcounts({ image, tables }: Mended, { spare, widens, structures, refcounts }: RefcountRepair, seen: Seen, findings: Findings): Promise<Repairable> {
  if (seen.needsRebuild) {
    findings.note('Rebuilding refcount structure')
    const rebuilt = await replaceTables(image, tables, spare, widens, findings)
    // Refcounts that could not be read are no corruptions for the reference; but somebody has to look again.
    findings.corruptionsFixed += Math.max(refcounts.corruptions, refcounts.checkErrors > 0 && structures.corruptions === 0 ? 1 : 0)
    findings.leaksFixed += refcounts.leaks
    seen.suspectsCopied = true
    return rebuilt
  }
  if (refcounts.leaks === 0 && refcounts.corruptions === 0) findings.add(refcounts)
  else seen.suspectsCopied = await repairRefcounts(image.walk, image.reader, 'errors', findings)
  const replaced = tables?.onlySnapshots === true && !widens ? await replaceSnapshotTable(image, tables) : null
  if (replaced !== null) return { ...replaced, snapshots: tables!.snapshots }
  if (tables === null && !widens) return image
  seen.suspectsCopied = true
  return replaceTables(image, tables, spare, widens, null)
}

/** Reads what has to be known before. */
async function begin(source: CheckSource, how: Pick<Walk, 'signal' | 'memory'>, findings: Findings): Promise<Repairable | null> {
  const { file, geometry } = source
  const snapshots = await readSnapshotsToRepair(source, findings)
  if (snapshots === null) return null
  const reader = await openRefcounts(source, findings)
  if (reader === null) return null
  const fileLength = await lengthOf(source)
  const { area, bitmaps } = await readBitmapsToRepair(source, fileLength, findings)
  return { walk: { file, area, geometry, fileLength, snapshots, bitmaps, reader, ...how, isStrict: true }, reader, snapshots }
}

/** Tells what is wrong. Returns whether some of it has to be mended before refcounts make sense. */
async function examine({ walk, reader }: Repairable, findings: Findings, structures: Findings, refcounts: Findings, seen: Seen): Promise<boolean> {
  let isMendable = false
  await eachPass(walk, { findings, refcountFindings: structures, mends: true }, async (pass) => {
    isMendable ||= pass.mendable
    seen.clusters = Math.max(seen.clusters, pass.counts.limit === Infinity ? pass.clusters : behindEnd(walk))
    // Its refcounts are compared afterwards.
    if (isMendable) return 'enough'
    await compareRefcounts(pass, reader, refcounts)
    note(pass, seen)
    return undefined
  })
  return isMendable
}

/** Tells which refcounts are wrong once the entries are mended. */
async function examineMended({ walk, reader }: Repairable, refcounts: Findings, seen: Seen): Promise<void> {
  await eachPass(walk, {}, async (pass) => {
    await compareRefcounts(pass, reader, refcounts)
    note(pass, seen)
  })
}

function note(pass: Pass, seen: Seen): void {
  seen.needsRebuild ||= pass.needsRebuild || pass.lacksBlocks
  seen.overflows ||= pass.overflows
  seen.suspectsCopied ||= pass.suspectsCopied
}

/** Something may reach less than a cluster beyond the end of the file. */
function behindEnd({ fileLength, geometry }: Walk): number {
  return Math.ceil(fileLength / geometry.clusterSize) + 1
}

/** Mends all tables; those that cannot stay where they are come into force with {@link replaceTables}. */
async function mend(image: Repairable, forced: Forced, spare: Spare, findings: Findings): Promise<Mended> {
  const shared = await findSharedTables(image.walk)
  const isMended = await mendBitmapTables(image.walk, !shared.bitmapTables)
  const walk = isMended && shared.bitmapTables ? { ...image.walk, ...(await dropBitmaps(image.walk, findings)) } : image.walk
  const tables = await moveTables(walk, image.snapshots, shared, forced, spare, findings)
  return { image: { ...image, walk }, tables }
}

async function replaceTables(image: Repairable, tables: NewTables | null, spare: Spare, widens: boolean, findings: Findings | null): Promise<Repairable> {
  return { ...(await switchTables(image, tables, spare, widens, findings)), snapshots: tables?.snapshots ?? image.snapshots }
}

/** Puts COPIED flags right, where need be in copies of tables. */
async function repairAllCopied(image: Repairable, findings: Findings, round = 1, told = findings): Promise<Repairable> {
  const postponed = { activeL1: false, l2: new Set<number>() }
  await repairCopied(image.walk, image.reader, told, postponed)
  if (!postponed.activeL1 && postponed.l2.size === 0) return image
  // What follows from moving them is not the image's fault.
  const later = new Findings(undefined)
  const spare = new Spare(behindEnd(image.walk))
  const mended = await mend(image, postponed, spare, later)
  const replaced = await replaceTables(mended.image, mended.tables, spare, false, null)
  if (round < MAX_ROUNDS) return repairAllCopied(replaced, findings, round + 1, later)
  findings.failure('ERROR: tables overlap in too many ways')
  return replaced
}
