import { BlockError } from '@blockloom/block-driver'
import { ENCRYPTION_SECTOR } from './encryption/data-cipher.ts'
import { growL1 } from './l1-growth.ts'
import type { Qcow2Image } from './image.ts'
import { L1Table } from './l1-table.ts'
import { Mapper } from './mapper.ts'
import type { SnapshotEntry } from './on-disk/snapshot-table.ts'
import { readGuest } from './read.ts'
import { dropClusters } from './resize.ts'
import { readSnapshotL1 } from './snapshot-l1.ts'
import { l1EntriesFor, roundUpToCluster, type Geometry } from './units.ts'
import { writeGuest } from './write.ts'
import type { Qcow2Writer } from './writer.ts'

/** Bytes that are written together. */
const PIECE = 4 * 1024 * 1024

/** Guest offset of VM state: behind the disk, where the next L2 table begins. Spec, "Snapshots". */
function vmStateOffset(geometry: Geometry, diskSize: number): number {
  return l1EntriesFor(geometry, diskSize) * geometry.l2Coverage
}

/** Stores VM state behind the active disk, on disk in whole clusters. @internal */
export async function writeVmState(writer: Qcow2Writer, state: Uint8Array): Promise<void> {
  const { image } = writer
  const { geometry, header, clusterSize } = image
  const start = vmStateOffset(geometry, header.size)
  try {
    await dropVmState(writer)
    await growL1(writer, l1EntriesFor(geometry, start + state.length))
    const whole = state.length - (state.length % clusterSize)
    for (let at = 0; at < whole; at += PIECE) await writeGuest(writer, start + at, state.subarray(at, Math.min(whole, at + PIECE)))
    if (whole < state.length) {
      const last = new Uint8Array(clusterSize)
      last.set(state.subarray(whole))
      await writeGuest(writer, start + whole, last)
    }
    await writer.settle()
  } catch (error) {
    await dropVmState(writer).catch(() => {})
    throw error
  }
}

/** Gives up the VM state behind the active disk. @internal */
export async function dropVmState(writer: Qcow2Writer): Promise<void> {
  const { geometry, header, l1 } = writer.image
  await dropClusters(writer, vmStateOffset(geometry, header.size), l1.entries * geometry.l2Coverage)
}

/** Reads `into.length` bytes from `offset` on of the VM state of a snapshot. @internal */
export async function readVmState(image: Qcow2Image, entry: SnapshotEntry, offset: number, into: Uint8Array): Promise<void> {
  if (!(Number.isSafeInteger(offset) && offset >= 0 && offset + into.length <= entry.vmStateSize)) {
    throw new BlockError('invalid', `The snapshot has ${entry.vmStateSize} bytes of VM state`)
  }
  const l1 = await readSnapshotL1(image, entry)
  const start = vmStateOffset(image.geometry, entry.diskSize ?? image.header.size)
  if (roundUpToCluster(image.geometry, start + entry.vmStateSize) > l1.length * (image.geometry.l2Coverage / 8)) {
    throw new BlockError('corrupt', 'The VM state goes beyond the L1 table of the snapshot', { errno: 'EIO', detail: { field: 'vm_state_size' } })
  }
  const mapper = new Mapper(image, new L1Table(entry.l1Offset, l1))
  if (image.encryption !== null && (offset % ENCRYPTION_SECTOR !== 0 || into.length % ENCRYPTION_SECTOR !== 0)) {
    const from = offset - (offset % ENCRYPTION_SECTOR)
    const sectors = new Uint8Array(Math.ceil((offset + into.length - from) / ENCRYPTION_SECTOR) * ENCRYPTION_SECTOR)
    await readState(image, mapper, start + from, sectors)
    into.set(sectors.subarray(offset - from, offset - from + into.length))
    return
  }
  await readState(image, mapper, start + offset, into)
}

/** Reads behind the disk: a backing file has nothing to do with it, however long it is. */
function readState(image: Qcow2Image, mapper: Mapper, at: number, into: Uint8Array): Promise<void> {
  return readGuest({ clusterSize: image.clusterSize, dataFile: image.dataFile, encryption: image.encryption, backing: { current: null }, compressed: image.compressed }, mapper, at, into)
}
