import { eachL2Table, type L2Table } from '../cluster-references.ts'
import { hex } from '../corruption.ts'
import type { Qcow2Image } from '../image.ts'
import { viewOf } from '../on-disk/integers.ts'
import { readSnapshotL1 } from '../snapshot-l1.ts'
import type { SnapshotStore } from '../snapshot-store.ts'
import type { StepProgress } from './progress.ts'

/**
 * Visits the L2 tables of the active disk and of all snapshots, as they are on disk, each once.
 *
 * @throws BlockError `corrupt` for a table that cannot be where it should be, or is behind the end of the file
 * @internal
 */
export async function eachTableOfAll(
  image: Qcow2Image,
  store: SnapshotStore,
  visit: (table: L2Table) => Promise<void>,
  progress: StepProgress = () => {},
): Promise<void> {
  const total = image.l1.entries + store.entries.reduce((sum, { l1Entries }) => sum + l1Entries, 0)
  const size = await image.file.size()
  const visited = new Set<number>()
  const wanted = (l1Index: number, offset: number): boolean => {
    if (visited.has(offset)) return false
    // Otherwise a small file could keep us busy for ever.
    if (offset >= size) throw image.corruption.found(`L2 table offset ${hex(offset)} is behind the end of the file (L1 index: ${hex(l1Index)})`)
    visited.add(offset)
    return true
  }
  let before = 0
  const eachOf = async (l1: Uint8Array): Promise<void> => {
    await eachL2Table(image, viewOf(l1), wanted, async (table) => {
      await visit(table)
      progress(before + table.l1Index + 1, total)
    })
    before += l1.length / 8
    progress(before, total)
  }
  await eachOf(image.l1.content())
  const l1Offsets = new Set<number>()
  for (const entry of store.entries) {
    if (l1Offsets.has(entry.l1Offset)) continue
    l1Offsets.add(entry.l1Offset)
    await eachOf(await readSnapshotL1(image, entry))
  }
}
