import { changeEntries } from './change-entries.ts'
import type { Qcow2Image } from './image.ts'
import { dropEntry } from './link.ts'
import { setL2Entry } from './on-disk/l2.ts'
import type { Qcow2Writer } from './writer.ts'

/** True if what is not allocated reads as something else than zeroes. A backing file that is only named may be there at the next open. @internal */
export function hasBacking(image: Qcow2Image): boolean {
  return image.backing.current !== null || image.area.backingFile !== null
}

/**
 * Gives up whole clusters of an image without a backing file: they are not allocated any more, and read as zeroes. It is all
 * that version 2 can do, which has no entries that say zero.
 *
 * @internal
 */
export async function unallocateGuest(writer: Qcow2Writer, offset: number, end: number): Promise<void> {
  const { geometry } = writer.image
  await changeEntries(
    writer,
    offset,
    end,
    (slice, index, count) => {
      for (let i = index; i < index + count; i++) {
        dropEntry(writer, slice, i, 'request')
        setL2Entry(geometry, slice.view, i, 0, false, false)
      }
    },
    { skipMissing: true },
  )
}
