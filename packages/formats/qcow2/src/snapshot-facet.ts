import { BlockError, type SnapshotFacet } from '@blockloom/block-driver'
import { exclusively } from './exclusive.ts'
import type { Qcow2Image } from './image.ts'
import { createSnapshot } from './snapshot-create.ts'
import { removeSnapshot } from './snapshot-remove.ts'
import { revertToSnapshot } from './snapshot-revert.ts'
import type { SnapshotStore } from './snapshot-store.ts'
import { readVmState } from './snapshot-vm-state.ts'
import { openSnapshot, snapshotInfo } from './snapshots.ts'
import type { Qcow2Writer } from './writer.ts'

/**
 * Internal snapshots of an image.
 *
 * Nothing changes them on an image that is read-only, or has an external data file, whose clusters cannot be shared.
 *
 * @internal
 */
export function snapshotFacet(image: Qcow2Image, store: SnapshotStore, writer: Qcow2Writer | null): SnapshotFacet {
  return {
    list: () => store.entries.map(snapshotInfo),
    openReadOnly: (select) => openSnapshot(image, store, select, writer),
    readVmState: (select, offset, into) => {
      const read = async (): Promise<void> => readVmState(image, store.find(select), offset, into)
      return writer === null ? read() : writer.gate.pass(() => writer.grace.during(read()))
    },
    ...(writer === null || image.externalData ? {} : changes(writer, store)),
  }
}

function changes(writer: Qcow2Writer, store: SnapshotStore): Partial<SnapshotFacet> {
  return {
    create: (snapshot) => exclusively(writer, () => createSnapshot(writer, store, snapshot)),
    remove: (select) => exclusively(writer, () => removeSnapshot(writer, store, select), () => void store.find(select)),
    revert: (select) => {
      // Writing clears the bit, and with it the claim that the bitmaps are right.
      const hasBitmaps = writer.image.header.features.bitmaps && writer.image.area.extensions.bitmaps !== null
      return exclusively(writer, () => revertToSnapshot(writer, store, select), () => {
        if (hasBitmaps) throw new BlockError('busy', 'Device has active dirty bitmaps')
        store.find(select)
      })
    },
  }
}
