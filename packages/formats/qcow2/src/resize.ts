import { BlockError, RequestFlag, type ResizeOptions } from '@blockloom/block-driver'
import { changeEntries } from './change-entries.ts'
import { updateHeader } from './header-update.ts'
import { growL1 } from './l1-growth.ts'
import { dropEntry } from './link.ts'
import { HEADER_FIELDS } from './on-disk/header.ts'
import { setL2Entry } from './on-disk/l2.ts'
import { setSubclusters } from './on-disk/l2-subclusters.ts'
import { mapNewClusters } from './map-new-clusters.ts'
import type { FreeReason } from './pending-frees.ts'
import { l1EntriesFor, roundUpToCluster } from './units.ts'
import { writeGuest } from './write.ts'
import type { Qcow2Writer } from './writer.ts'
import { zeroGuest } from './zero.ts'

/** Zeroes that have to be written as data go out in pieces of this many bytes. */
const ZERO_PIECE = 1024 * 1024

/**
 * Sets the size of the virtual disk in bytes.
 *
 * Growing: new bytes read as zeroes before the header says that they exist. Shrinking: the header changes first, then
 * the clusters behind the end become free. Either way a crash leaves a valid image of the old or the new size.
 *
 * @throws BlockError `invalid` for a size that is not a multiple of 512; `unsupported` for version 2 with snapshots;
 *   `corrupt` if a stored bitmap is inconsistent
 * @internal
 */
export async function resizeGuest(writer: Qcow2Writer, size: number, options: Required<ResizeOptions>): Promise<void> {
  const { image } = writer
  const { header, geometry } = image
  const oldSize = header.size
  if (size % 512 !== 0) throw new BlockError('invalid', 'The new size must be a multiple of 512')
  if (image.version < 3 && header.snapshotCount > 0) {
    throw new BlockError('unsupported', "Can't resize a v2 image which has snapshots")
  }
  if (size < oldSize && options.preallocation !== 'off') {
    throw new BlockError('invalid', "Preallocation can't be used for shrinking an image")
  }
  image.bitmaps.assertConsistent()
  if (!writer.ready) await writer.prepare()
  image.corruption.assertWritable()
  if (size < oldSize) {
    await updateHeader(image, HEADER_FIELDS.size, { size })
    await dropClusters(writer, roundUpToCluster(geometry, size), roundUpToCluster(geometry, oldSize))
  } else {
    await growL1(writer, l1EntriesFor(geometry, size))
    await clear(writer, oldSize, roundUpToCluster(geometry, size), options.zeroFill)
    if (options.preallocation !== 'off') await mapNewClusters(writer, roundUpToCluster(geometry, oldSize), size, options.preallocation)
    await writer.committer.run(true)
    await updateHeader(image, HEADER_FIELDS.size, { size })
  }
  // As long as the disk, as the reference has it.
  if (image.externalData) await image.dataFile!.resize(size)
}

/** Makes the entries of whole clusters empty. @internal */
export async function dropClusters(writer: Qcow2Writer, from: number, to: number, reason: FreeReason = 'other'): Promise<void> {
  const { geometry } = writer.image
  await changeEntries(
    writer,
    from,
    to,
    (slice, index, count) => {
      for (let i = index; i < index + count; i++) {
        dropEntry(writer, slice, i, reason)
        setL2Entry(geometry, slice.view, i, 0, false, false)
        if (geometry.extendedL2) setSubclusters(slice.view, i, 0, 0)
      }
    },
    { skipMissing: true },
  )
}

/** Makes `from` … `to` read as zeroes where it does not: rests of an earlier, larger size, and the backing file. */
async function clear(writer: Qcow2Writer, from: number, to: number, hideBacking: boolean): Promise<void> {
  const { image } = writer
  const { mapper, backing } = image
  // What can be marked by itself: subclusters, or clusters.
  const unit = image.geometry.subclusterSize
  const backingEnd = hideBacking && backing.current !== null ? await backing.current.size() : 0
  for (let at = from; at < to; ) {
    while (!mapper.lookup(at, to)) await mapper.load(at)
    const { kind } = mapper
    const isClear = kind === 'zero' || kind === 'zero-alloc' || (kind === 'absent' && at >= backingEnd)
    let end = at + mapper.bytes
    if (!isClear) {
      // The rest of a unit is written, whole ones are marked.
      if (kind === 'absent') end = Math.min(end, Math.ceil(backingEnd / unit) * unit)
      if (at % unit !== 0) end = Math.min(end, Math.ceil(at / unit) * unit)
      const isMarked = at % unit === 0 && (await zeroGuest(writer, at, end - at, RequestFlag.MAY_UNMAP)) === 'done'
      if (!isMarked) {
        end = Math.min(end, at + ZERO_PIECE)
        await writeGuest(writer, at, new Uint8Array(end - at))
      }
    }
    at = end
  }
}
