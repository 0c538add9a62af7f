import { isBlockError } from '@blockloom/block-driver'
import { bitmapDataOffset, classifyBitmapCluster } from '../on-disk/bitmap-table.ts'
import { decodeBitmapDirectory, type BitmapEntry } from '../on-disk/bitmap-directory.ts'
import { hexOf } from '../on-disk/integers.ts'
import { printableName } from '../on-disk/names.ts'
import { entryProblem, markRegion, type CheckSource, type Pass } from './pass.ts'
import type { Findings } from './findings.ts'
import { readTables } from './read-tables.ts'

const PIECE = 256 * 1024
/** Entries of all bitmap tables together; more than any image has, and a bound to what overlapping ones can cause. */
const MAX_ENTRIES = 2 ** 28

/** The bitmap directory; empty if there is none, or if it is broken, which is told. @internal */
export async function readCheckedBitmaps(source: CheckSource, findings: Findings): Promise<readonly BitmapEntry[]> {
  const { file, area, geometry } = source
  const { bitmaps } = area.extensions
  if (bitmaps === null) return []
  if (bitmaps.directoryOffset + bitmaps.directorySize > (await file.size()) + geometry.clusterSize) {
    findings.failure('ERROR: the bitmap directory reaches beyond the end of the file')
    return []
  }
  try {
    const directory = new Uint8Array(bitmaps.directorySize)
    await file.read(bitmaps.directoryOffset, directory)
    return decodeBitmapDirectory(directory, bitmaps.count, geometry)
  } catch (error) {
    if (!isBlockError(error)) throw error
    findings.failure(`ERROR: ${error.message}`)
    return []
  }
}

/** Counts the clusters of the bitmap directory, the bitmap tables and the bitmaps. @internal */
export async function countBitmaps(pass: Pass, bitmaps: readonly BitmapEntry[]): Promise<void> {
  const { file, fileLength, signal, first, findings, area } = pass
  const directory = area.extensions.bitmaps
  if (directory !== null) markRegion(pass, directory.directoryOffset, directory.directorySize)
  let total = 0
  for (const bitmap of bitmaps) {
    markRegion(pass, bitmap.tableOffset, bitmap.tableEntries * 8)
    total += bitmap.tableEntries
    if (total > MAX_ENTRIES) {
      pass.isIncomplete = true
      if (first) findings.failure('ERROR: the bitmap tables are larger than what can be examined')
      return
    }
    const pieces: number[] = []
    const end = Math.min(bitmap.tableOffset + bitmap.tableEntries * 8, fileLength)
    for (let at: number = bitmap.tableOffset; at < end; at += PIECE) pieces.push(at)
    await readTables({ file, fileLength, signal }, pieces, PIECE, (piece, table) => {
      if (table === 'empty') return
      if (table === 'unreadable') {
        pass.isIncomplete = true
        if (first) findings.failure(`ERROR: I/O error in the table of bitmap '${printableName(bitmap.name)}'`)
        return
      }
      const start = (pieces[piece]! - bitmap.tableOffset) / 8
      const count = Math.min(PIECE / 8, bitmap.tableEntries - start)
      for (let i = 0; i < count; i++) countEntry(pass, bitmap, table.getUint32(i * 8), table.getUint32(i * 8 + 4))
    })
  }
}

function countEntry(pass: Pass, bitmap: BitmapEntry, hi: number, lo: number): void {
  if (hi === 0 && lo === 0) return
  const kind = classifyBitmapCluster(pass.geometry, hi, lo)
  if (kind === 'data') markRegion(pass, bitmapDataOffset(hi, lo), pass.geometry.clusterSize)
  else if (kind === 'invalid') {
    entryProblem(pass, `ERROR bitmap '${printableName(bitmap.name)}': invalid bitmap table entry ${hexOf({ hi, lo })}`)
  }
}
