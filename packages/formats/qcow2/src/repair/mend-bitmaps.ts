import type { DecodedHeaderArea } from '../on-disk/header-area.ts'
import { readCheckedBitmaps } from '../check/bitmaps.ts'
import { Findings } from '../check/findings.ts'
import { reachesTooFar, type CheckSource } from '../check/pass.ts'
import { readTables } from '../check/read-tables.ts'
import type { Walk } from '../check/walk.ts'
import { bitmapDataOffset, classifyBitmapCluster, setBitmapTableEntry } from '../on-disk/bitmap-table.ts'
import type { BitmapEntry } from '../on-disk/bitmap-directory.ts'
import { HEADER_FIELDS } from '../on-disk/header.ts'
import { changeHeader } from './change-header.ts'
import { writeChanged } from './write-changed.ts'

const PIECE = 256 * 1024

/** The bitmaps that stay, and the header that says so. @internal */
export interface RepairedBitmaps {
  readonly area: DecodedHeaderArea
  readonly bitmaps: readonly BitmapEntry[]
}

/**
 * Reads the bitmap directory for a repair. If it is broken, or a bitmap table is not in the file, the image loses its
 * bitmaps: their autoclear bit is cleared, which makes all of them inconsistent.
 *
 * @internal
 */
export async function readBitmapsToRepair(source: CheckSource, fileLength: number, findings: Findings): Promise<RepairedBitmaps> {
  const { area, geometry } = source
  let problem: string | undefined
  const broken = new Findings((line) => {
    problem = line.replace(/^ERROR/, 'Repairing')
  })
  const bitmaps = await readCheckedBitmaps(source, broken)
  const { bitmaps: directory } = area.extensions
  if (directory !== null && reachesTooFar({ fileLength, geometry }, directory.directoryOffset, directory.directorySize)) problem ??= 'Repairing: the bitmap directory reaches beyond the end of the file'
  const lost = bitmaps.find(({ tableOffset, tableEntries }) => reachesTooFar({ fileLength, geometry }, tableOffset, tableEntries * 8))
  if (lost !== undefined) problem ??= 'Repairing: a bitmap table reaches beyond the end of the file'
  if (problem === undefined) return { area, bitmaps }
  findings.corruptionFixed(problem)
  return dropBitmaps(source, findings)
}

/** Makes all bitmaps inconsistent. @internal */
export async function dropBitmaps(source: Pick<CheckSource, 'file' | 'area'>, findings: Findings): Promise<RepairedBitmaps> {
  const { file, area } = source
  findings.note('Discarding all bitmaps of the image')
  const changed = await changeHeader(file, area, HEADER_FIELDS.features, { features: { ...area.header.features, bitmaps: false } })
  return { area: { ...changed, extensions: { ...area.extensions, bitmaps: null }, staleBitmaps: true }, bitmaps: [] }
}

/**
 * Mends the entries of the bitmap tables where they are: what cannot be read counts as all dirty, which costs a backup
 * time, but no data.
 *
 * @returns whether there was anything to mend; with `write` false nothing else happens
 * @internal
 */
export async function mendBitmapTables(walk: Walk, write: boolean): Promise<boolean> {
  const { file, fileLength, geometry, signal } = walk
  let found = false
  for (const { tableOffset, tableEntries } of walk.bitmaps) {
    const pieces: number[] = []
    const end = tableOffset + tableEntries * 8
    for (let at: number = tableOffset; at < Math.min(end, fileLength); at += PIECE) pieces.push(at)
    await readTables({ file, fileLength, signal }, pieces, PIECE, async (piece, table) => {
      if (table === 'empty' || table === 'unreadable') return
      const changed: number[] = []
      for (let i = 0; i < Math.min(PIECE, end - pieces[piece]!) / 8; i++) {
        const hi = table.getUint32(i * 8)
        const lo = table.getUint32(i * 8 + 4)
        const kind = classifyBitmapCluster(geometry, hi, lo)
        const isLost = kind === 'invalid' || (kind === 'data' && reachesTooFar({ fileLength, geometry }, bitmapDataOffset(hi, lo), geometry.clusterSize))
        if (!isLost) continue
        setBitmapTableEntry(table, i, 'all-ones')
        changed.push(i * 8)
      }
      if (changed.length === 0) return
      found = true
      if (write) await writeChanged(file, pieces[piece]!, table, changed)
    })
  }
  return found
}
