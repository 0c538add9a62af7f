import type { Attempt } from '@blockloom/block-driver'
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
 * Gives up whole clusters: they are not allocated any more, and read as zeroes. It is all that version 2 can do, which has no
 * entries that say zero; `unsupported` with a backing file, whose old bytes would show.
 *
 * @internal
 */
export async function unallocateGuest(writer: Qcow2Writer, offset: number, end: number): Promise<Attempt> {
  const { geometry } = writer.image
  if (hasBacking(writer.image)) return 'unsupported'
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
  return 'done'
}
