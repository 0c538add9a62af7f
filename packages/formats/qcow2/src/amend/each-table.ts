import { eachL2Table, type L2Table } from '../cluster-references.ts'
import type { Qcow2Image } from '../image.ts'
import { viewOf } from '../on-disk/integers.ts'
import { readSnapshotL1 } from '../snapshot-l1.ts'
import type { SnapshotStore } from '../snapshot-store.ts'
import type { StepProgress } from './progress.ts'

/**
 * Visits the L2 tables of the active disk and of all snapshots, as they are on disk; one that several have, several times.
 *
 * @throws BlockError `corrupt` for a table that cannot be where it should be
 * @internal
 */
export async function eachTableOfAll(
  image: Qcow2Image,
  store: SnapshotStore,
  visit: (table: L2Table) => Promise<void>,
  progress: StepProgress = () => {},
): Promise<void> {
  const total = image.l1.entries + store.entries.reduce((sum, { l1Entries }) => sum + l1Entries, 0)
  let before = 0
  const eachOf = async (l1: Uint8Array): Promise<void> => {
    await eachL2Table(image, viewOf(l1), () => true, async (table) => {
      await visit(table)
      progress(before + table.l1Index + 1, total)
    })
    before += l1.length / 8
    progress(before, total)
  }
  await eachOf(image.l1.content())
  for (const entry of store.entries) await eachOf(await readSnapshotL1(image, entry))
}
