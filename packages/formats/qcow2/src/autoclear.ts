import { updateHeader } from './header-update.ts'
import type { Qcow2Image } from './image.ts'
import { HEADER_FIELDS } from './on-disk/header.ts'
import { isEmpty, NO_BITS } from './on-disk/integers.ts'

/**
 * Clears the autoclear bits of features that our changes would make untrue: unknown ones, and stored bitmaps, which are
 * not updated. On disk before the first change; an image that is not changed keeps them.
 *
 * @internal
 */
export async function clearAutoclear(image: Qcow2Image): Promise<void> {
  const { header } = image
  if (header.version < 3 || (isEmpty(header.unknownAutoclear) && !header.features.bitmaps)) return
  if (header.features.bitmaps) image.warn('The bitmaps stored in the image are not updated; they are inconsistent from now on')
  await updateHeader(image, HEADER_FIELDS.features, {
    unknownAutoclear: NO_BITS,
    features: { ...header.features, bitmaps: false },
  })
}

/** Clears only the unknown bits, for changes that leave the guest's disk as it is. @internal */
export async function clearUnknownAutoclear(image: Qcow2Image): Promise<void> {
  if (image.version < 3 || isEmpty(image.header.unknownAutoclear)) return
  await updateHeader(image, HEADER_FIELDS.features, { unknownAutoclear: NO_BITS })
}
