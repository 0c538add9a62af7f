import { markBitmapsInUse } from './bitmaps/mark-in-use.ts'
import { updateHeader } from './header-update.ts'
import type { Qcow2Image } from './image.ts'
import { HEADER_FIELDS } from './on-disk/header.ts'
import { isEmpty, NO_BITS } from './on-disk/integers.ts'
import type { Qcow2Writer } from './writer.ts'

/**
 * Takes back what the first change of the guest's disk would make untrue: the autoclear bits of unknown features, and that
 * the stored bitmaps are right. On disk before that change; an image that is not changed keeps them.
 *
 * @internal
 */
export async function clearAutoclear(writer: Qcow2Writer): Promise<void> {
  await clearUnknownAutoclear(writer.image)
  await markBitmapsInUse(writer)
}

/**
 * Clears only the unknown bits, for changes that leave the guest's disk as it is; and that of bitmaps where there are none,
 * which the reference takes for a directory at offset 0.
 *
 * @internal
 */
export async function clearUnknownAutoclear(image: Qcow2Image): Promise<void> {
  const { version, header, area } = image
  const hasBitmaps = area.extensions.bitmaps !== null
  if (version < 3 || (isEmpty(header.unknownAutoclear) && header.features.bitmaps === hasBitmaps)) return
  await updateHeader(image, HEADER_FIELDS.features, ({ features }) => ({ unknownAutoclear: NO_BITS, features: { ...features, bitmaps: hasBitmaps } }))
}
