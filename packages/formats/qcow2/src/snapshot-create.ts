import { BlockError, type NewSnapshot, type SnapshotInfo } from '@blockloom/block-driver'
import { addReferences, clearCopied, eachL2Table, hasCopiedEntries } from './cluster-references.ts'
import { switchMetadata, type TableCopy } from './metadata-switch.ts'
import { viewOf } from './on-disk/integers.ts'
import { setL1Entry } from './on-disk/l1.ts'
import { MAX_SNAPSHOTS } from './on-disk/limits.ts'
import { encodeSnapshotTable, type SnapshotEntry } from './on-disk/snapshot-table.ts'
import { RefcountDeltas } from './refcount-deltas.ts'
import { sharedL1 } from './snapshot-l1.ts'
import { snapshotInfo } from './snapshots.ts'
import type { SnapshotStore } from './snapshot-store.ts'
import { dropVmState, writeVmState } from './snapshot-vm-state.ts'
import { clustersFor, hostOffset, l1EntriesFor } from './units.ts'
import type { Qcow2Writer } from './writer.ts'

/**
 * Takes an internal snapshot: a second L1 table that shares all L2 tables and clusters with the active one.
 *
 * L2 tables that lose COPIED flags are copied; both L1 tables get the copy. VM state is in the snapshot only.
 *
 * @throws BlockError `invalid`: EFBIG for too many snapshots or too long a name, EINVAL if a refcount would not fit
 * @internal
 */
export async function createSnapshot(writer: Qcow2Writer, store: SnapshotStore, snapshot: NewSnapshot): Promise<SnapshotInfo> {
  const { image } = writer
  const { header, geometry, clusterSize } = image
  if (store.entries.length >= MAX_SNAPSHOTS) throw new BlockError('invalid', 'Too many snapshots', { errno: 'EFBIG' })
  const vmStateSize = snapshot.vmState?.length ?? 0
  const draft: SnapshotEntry = {
    l1Offset: hostOffset(0),
    l1Entries: 0,
    id: store.newId(),
    name: snapshot.name,
    dateSeconds: snapshot.dateSec ?? 0,
    dateNanoseconds: snapshot.dateNsec ?? 0,
    vmClock: BigInt(snapshot.vmClockNsec ?? 0),
    vmStateSize,
    diskSize: header.size,
    instructionCount: snapshot.icount === undefined ? null : BigInt(snapshot.icount),
    unknownExtraData: new Uint8Array(0),
    extraDataSize: 24,
  }
  // Before anything is changed: throws if it is too large.
  const tableBytes = encodeSnapshotTable([...store.entries, draft], header.size).length
  if (snapshot.vmState !== undefined) await writeVmState(writer, snapshot.vmState)
  try {
    return await take()
  } catch (error) {
    if (vmStateSize > 0) await dropVmState(writer).catch(() => {})
    throw error
  }

  async function take(): Promise<SnapshotInfo> {
    const deltas = new RefcountDeltas(writer)
    const copies: TableCopy[] = []
    const old = image.l1.content()
    const { l1Offset } = image.header
    const diskEntries = l1EntriesFor(geometry, header.size)
    const withState = vmStateSize > 0
    await eachL2Table(image, viewOf(old), (l1Index) => l1Index < diskEntries || !withState, async (table) => {
      const by = table.l1Index < diskEntries ? 1 : -1
      await addReferences(image, deltas, table, by)
      if (by === 1 && hasCopiedEntries(image, table)) {
        copies.push({ l1Index: table.l1Index, from: table.offset, refcount: 2, change: (copy) => clearCopied(image, copy), place: 0 })
        await deltas.add(table.offset / clusterSize, 1, -1)
      } else {
        await deltas.add(table.offset / clusterSize, 1, by)
      }
    })
    if (old.length > 0) await deltas.add(l1Offset / clusterSize, clustersFor(geometry, old.length), -1)
    if (store.tableBytes > 0) await deltas.add(header.snapshotTableOffset / clusterSize, clustersFor(geometry, store.tableBytes), -1)

    let entries: SnapshotEntry[] = []
    await switchMetadata(writer, {
      deltas,
      copies,
      areas: [old.length, old.length, tableBytes],
      build: ([activePlace, snapshotPlace, tablePlace]) => {
        const ofSnapshot = sharedL1(old, withState ? old.length / 8 : Math.min(diskEntries, old.length / 8))
        for (const { l1Index, place } of copies) setL1Entry(viewOf(ofSnapshot), l1Index, place, false)
        const active = new Uint8Array(old.length)
        active.set(ofSnapshot.subarray(0, diskEntries * 8))
        const entry: SnapshotEntry = { ...draft, l1Offset: hostOffset(snapshotPlace!), l1Entries: old.length / 8 }
        entries = [...store.entries, entry]
        const whole = new Uint8Array(old.length)
        whole.set(ofSnapshot)
        return {
          contents: [active, whole, encodeSnapshotTable(entries, header.size)],
          header: { ...(old.length > 0 ? { l1Offset: hostOffset(activePlace!) } : {}), snapshotCount: entries.length, snapshotTableOffset: hostOffset(tablePlace!) },
          l1: active,
        }
      },
    })
    store.replace(entries, tableBytes)
    return snapshotInfo(entries.at(-1)!)
  }
}
