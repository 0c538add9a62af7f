import { addReferences, eachL2Table, renewCopied } from './cluster-references.ts'
import { switchMetadata, type TableCopy } from './metadata-switch.ts'
import { viewOf } from './on-disk/integers.ts'
import { l1Copied, l1Hi, l1Lo, l1TableOffset, setL1Entry } from './on-disk/l1.ts'
import { encodeSnapshotTable } from './on-disk/snapshot-table.ts'
import { RefcountDeltas } from './refcount-deltas.ts'
import { readSnapshotL1 } from './snapshot-l1.ts'
import type { SnapshotStore } from './snapshot-store.ts'
import { clustersFor, hostOffset } from './units.ts'
import type { Qcow2Writer } from './writer.ts'

/**
 * Removes an internal snapshot. Clusters that only it used become free; those that only the active disk is left with
 * get their COPIED flags.
 *
 * @throws BlockError `not-found`
 * @internal
 */
export async function removeSnapshot(writer: Qcow2Writer, store: SnapshotStore, select: string): Promise<void> {
  const { image } = writer
  const { geometry, clusterSize, header } = image
  const entry = store.find(select)
  const l1 = await readSnapshotL1(image, entry)
  const deltas = new RefcountDeltas(writer)
  await eachL2Table(image, viewOf(l1), () => true, async (table) => {
    await addReferences(image, deltas, table, -1)
    await deltas.add(table.offset / clusterSize, 1, -1)
  })
  if (l1.length > 0) await deltas.add(entry.l1Offset / clusterSize, clustersFor(geometry, l1.length), -1)
  await deltas.add(header.snapshotTableOffset / clusterSize, clustersFor(geometry, store.tableBytes), -1)

  const active = image.l1.content()
  const view = viewOf(active)
  const copies: TableCopy[] = []
  let changed = false
  const own = new Set<number>()
  for (let i = 0; i < active.length / 8; i++) {
    const offset = l1TableOffset(l1Hi(view, i), l1Lo(view, i))
    if (offset === 0 || offset % clusterSize !== 0) continue
    const cluster = offset / clusterSize
    while (deltas.get(cluster) === undefined) await deltas.load(cluster)
    const copied = deltas.get(cluster) === 1
    if (copied) own.add(i)
    if (copied === l1Copied(l1Hi(view, i))) continue
    setL1Entry(view, i, offset, copied)
    changed = true
  }
  // What a shared table maps is shared too.
  await eachL2Table(image, view, (l1Index) => own.has(l1Index), async (table) => {
    if (!(await renewCopied(image, deltas, table))) return
    const change = async (copy: typeof table): Promise<void> => void (await renewCopied(image, deltas, copy))
    copies.push({ l1Index: table.l1Index, from: table.offset, refcount: 1, change, place: 0 })
  })
  for (const { from } of copies) await deltas.add(from / clusterSize, 1, -1)
  changed ||= copies.length > 0
  if (changed) await deltas.add(header.l1Offset / clusterSize, clustersFor(geometry, active.length), -1)

  const entries = store.entries.filter((each) => each !== entry)
  const snapshotTable = encodeSnapshotTable(entries, header.size)
  await switchMetadata(writer, {
    deltas,
    copies,
    areas: [snapshotTable.length, changed ? active.length : 0],
    build: ([tablePlace, l1Place]) => {
      for (const { l1Index, place } of copies) setL1Entry(view, l1Index, place, true)
      return {
        contents: [snapshotTable, changed ? active : new Uint8Array(0)],
        header: {
          snapshotCount: entries.length,
          snapshotTableOffset: hostOffset(tablePlace!),
          ...(changed ? { l1Offset: hostOffset(l1Place!) } : {}),
        },
        l1: changed ? active : null,
      }
    },
  })
  store.replace(entries, snapshotTable.length)
}
