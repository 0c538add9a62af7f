import { isBlockError } from '@blockloom/block-driver'
import type { Qcow2Image } from '../image.ts'
import { decodeBitmapDirectory, validateBitmapSize, type BitmapEntry } from '../on-disk/bitmap-directory.ts'
import { malformed } from '../on-disk/malformed.ts'

/** What reading the directory needs. */
type DirectorySource = Pick<Qcow2Image, 'area' | 'file' | 'geometry'>

const STALE = 'a program lacking bitmap support modified this file, so all bitmaps are now considered inconsistent'
const STALE_VERSION_2 =
  'This qcow2 v2 image contains bitmaps, but they may have been modified by a program without persistent bitmap support; so now they must all be considered inconsistent'
const LEAKED = "\nSome clusters may be leaked, run 'qemu-img check -r' on the image file to fix."

/**
 * The bytes of the bitmap directory; empty if there is none.
 *
 * @throws BlockError `corrupt` if it reaches beyond the end of the file
 * @internal
 */
export async function readDirectoryBytes({ area, file }: DirectorySource): Promise<Uint8Array> {
  const { bitmaps } = area.extensions
  if (bitmaps === null) return new Uint8Array(0)
  if (bitmaps.directoryOffset + bitmaps.directorySize > (await file.size())) {
    throw malformed('bitmap_directory', 'Bitmap directory reaches beyond the end of the file')
  }
  const bytes = new Uint8Array(bitmaps.directorySize)
  await file.read(bitmaps.directoryOffset, bytes)
  return bytes
}

/**
 * Reads the bitmap directory as it is on disk now.
 *
 * @throws BlockError `corrupt` or `unsupported` if it is broken
 * @internal
 */
export async function readBitmapDirectory(source: DirectorySource): Promise<BitmapEntry[]> {
  const bytes = await readDirectoryBytes(source)
  return decodeBitmapDirectory(bytes, source.area.extensions.bitmaps?.count ?? 0, source.geometry)
}

/**
 * Fills `image.bitmaps` when the image is opened.
 *
 * A broken directory does no harm to those who only read, or check the image: using the bitmaps fails then. Stale
 * bitmaps, which another program left behind, are none, and tell so.
 *
 * @throws BlockError `corrupt` or `unsupported` if the directory is broken and the image is to be written
 * @internal
 */
export async function openBitmaps(image: Qcow2Image): Promise<void> {
  const { area, bitmaps, geometry, mode } = image
  if (area.staleBitmaps) image.warn((image.version < 3 ? STALE_VERSION_2 : STALE) + LEAKED)
  try {
    const entries = await readBitmapDirectory(image)
    for (const entry of entries) if (!entry.inUse) validateBitmapSize(entry, geometry, area.header.size)
    bitmaps.replace(entries.map((entry) => ({ entry, inconsistent: entry.inUse })))
  } catch (error) {
    if (!isBlockError(error) || !(error.code === 'corrupt' || error.code === 'unsupported')) throw error
    if (!mode.readOnly && !mode.forCheck) throw error
    bitmaps.broken = error
  }
}
