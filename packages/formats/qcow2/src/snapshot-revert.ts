import { BlockError } from '@blockloom/block-driver'
import { addReferences, clearCopied, eachL2Table, hasCopiedEntries } from './cluster-references.ts'
import { switchMetadata, type TableCopy } from './metadata-switch.ts'
import { viewOf } from './on-disk/integers.ts'
import { l1Hi, l1Lo, l1TableOffset, setL1Entry } from './on-disk/l1.ts'
import { MAX_L1_BYTES } from './on-disk/limits.ts'
import { RefcountDeltas } from './refcount-deltas.ts'
import { readSnapshotL1, sharedL1 } from './snapshot-l1.ts'
import type { SnapshotStore } from './snapshot-store.ts'
import { clustersFor, hostOffset, l1EntriesFor } from './units.ts'
import type { Qcow2Writer } from './writer.ts'

/**
 * Makes the active disk what it was when a snapshot was taken, its size included. The snapshot stays.
 *
 * @throws BlockError `not-found`; `unsupported` if a version 2 image would change its size; `busy` if the image has
 *   bitmaps, which would be wrong
 * @internal
 */
export async function revertToSnapshot(writer: Qcow2Writer, store: SnapshotStore, select: string): Promise<void> {
  const { image } = writer
  const { geometry, clusterSize, header } = image
  const entry = store.find(select)
  const target = await readSnapshotL1(image, entry)
  const size = entry.diskSize ?? header.size
  if (size !== header.size && image.version < 3) throw new BlockError('unsupported', "Can't resize a v2 image which has snapshots")
  if (size % 512 !== 0) throw new BlockError('invalid', 'The new size must be a multiple of 512')
  const entries = Math.max(entry.l1Entries, l1EntriesFor(geometry, size))
  if (entries * 8 > MAX_L1_BYTES) throw new BlockError('corrupt', 'The disk size of the snapshot is too large', { errno: 'EFBIG', detail: { field: 'disk_size' } })

  const deltas = new RefcountDeltas(writer)
  const copies: TableCopy[] = []
  const active = image.l1.content()
  // Tables that both have keep all their references.
  const inBoth = (i: number): boolean => tableAt(active, i) === tableAt(target, i)
  await eachL2Table(image, viewOf(active), (l1Index) => !inBoth(l1Index), async (table) => {
    await addReferences(image, deltas, table, -1)
    await deltas.add(table.offset / clusterSize, 1, -1)
  })
  await eachL2Table(image, viewOf(target), (l1Index) => !inBoth(l1Index), async (table) => {
    await addReferences(image, deltas, table, 1)
    if (hasCopiedEntries(image, table)) {
      // The snapshot keeps the table with flags that mean nothing there.
      copies.push({ l1Index: table.l1Index, from: table.offset, refcount: 1, change: (copy) => clearCopied(image, copy), place: 0 })
    } else {
      await deltas.add(table.offset / clusterSize, 1, 1)
    }
  })
  if (active.length > 0) await deltas.add(header.l1Offset / clusterSize, clustersFor(geometry, active.length), -1)

  const l1 = sharedL1(target, entries)
  await switchMetadata(writer, {
    deltas,
    copies,
    areas: [l1.length],
    build: ([place]) => {
      for (const copy of copies) setL1Entry(viewOf(l1), copy.l1Index, copy.place, true)
      return {
        contents: [l1],
        header: { size, l1Entries: entries, ...(entries > 0 ? { l1Offset: hostOffset(place!) } : {}) },
        l1,
      }
    },
  })
}

function tableAt(l1: Uint8Array, index: number): number {
  if (index * 8 >= l1.length) return 0
  const view = viewOf(l1)
  return l1TableOffset(l1Hi(view, index), l1Lo(view, index))
}
