import type { Qcow2Image } from './image.ts'
import { decodeBitmapDirectory, type BitmapEntry } from './on-disk/bitmap-directory.ts'
import { malformed } from './on-disk/malformed.ts'

/** What {@link qcow2Info} needs of an opened image. @internal */
export type InfoSource = Pick<Qcow2Image, 'area' | 'file' | 'geometry'>

/**
 * Facts about the image, as `qemu-img info` shows them: members of QAPI `ImageInfo` that only the format knows, and
 * `ImageInfoSpecificQCow2` under `format-specific`, both in its order.
 *
 * @throws BlockError `corrupt`, if the bitmap directory is broken
 * @internal
 */
export async function qcow2Info(image: InfoSource): Promise<Readonly<Record<string, unknown>>> {
  const { header } = image.area
  return {
    'cluster-size': image.geometry.clusterSize,
    'format-specific': { type: 'qcow2', data: header.version === 2 ? version2(image) : await version3(image) },
    'dirty-flag': header.features.dirty,
  }
}

function version2(image: InfoSource): Record<string, unknown> {
  const { header } = image.area
  return { compat: '0.10', 'compression-type': header.compressionType, 'refcount-bits': image.geometry.refcountBits }
}

async function version3(image: InfoSource): Promise<Record<string, unknown>> {
  const { header, extensions } = image.area
  const { features } = header
  const bitmaps = await bitmapInfo(image)
  return {
    compat: '1.1',
    'compression-type': header.compressionType,
    'lazy-refcounts': features.lazyRefcounts,
    ...(bitmaps.length === 0 ? {} : { bitmaps }),
    'refcount-bits': image.geometry.refcountBits,
    ...(features.externalData && extensions.dataFile !== null ? { 'data-file': extensions.dataFile } : {}),
    ...(features.externalData ? { 'data-file-raw': features.rawExternalData } : {}),
    corrupt: features.corrupt,
    'extended-l2': features.extendedL2,
  }
}

async function bitmapInfo({ area, file, geometry }: InfoSource): Promise<Record<string, unknown>[]> {
  const { bitmaps } = area.extensions
  if (bitmaps === null) return []
  if (bitmaps.directoryOffset + bitmaps.directorySize > (await file.size())) {
    throw malformed('bitmap_directory', 'Bitmap directory reaches beyond the end of the file')
  }
  const directory = new Uint8Array(bitmaps.directorySize)
  await file.read(bitmaps.directoryOffset, directory)
  return decodeBitmapDirectory(directory, bitmaps.count, geometry).map((entry) => ({
    flags: flagsOf(entry),
    name: entry.name,
    granularity: 2 ** entry.granularityBits,
  }))
}

function flagsOf(entry: BitmapEntry): string[] {
  return [...(entry.inUse ? ['in-use'] : []), ...(entry.auto ? ['auto'] : [])]
}
