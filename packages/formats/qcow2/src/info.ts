import { encryptionInfo } from './encryption/encryption-info.ts'
import { readBitmapDirectory } from './bitmaps/read-directory.ts'
import type { Qcow2Image } from './image.ts'
import type { BitmapEntry } from './on-disk/bitmap-directory.ts'

/** What {@link qcow2Info} needs of an opened image. @internal */
export type InfoSource = Pick<Qcow2Image, 'area' | 'encryption' | 'file' | 'geometry'>

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
    ...(image.encryption === null ? {} : { encrypted: true }),
    'dirty-flag': header.features.dirty,
  }
}

function version2(image: InfoSource): Record<string, unknown> {
  const { header } = image.area
  return { compat: '0.10', 'compression-type': header.compressionType, 'refcount-bits': image.geometry.refcountBits, ...encryptMember(image) }
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
    ...encryptMember(image),
    ...(features.externalData && extensions.dataFile !== null ? { 'data-file': extensions.dataFile } : {}),
    ...(features.externalData ? { 'data-file-raw': features.rawExternalData } : {}),
    corrupt: features.corrupt,
    'extended-l2': features.extendedL2,
  }
}

function encryptMember({ encryption }: InfoSource): Record<string, unknown> {
  return encryption === null ? {} : { encrypt: encryptionInfo(encryption) }
}

async function bitmapInfo(image: InfoSource): Promise<Record<string, unknown>[]> {
  return (await readBitmapDirectory(image)).map((entry) => ({
    flags: flagsOf(entry),
    name: entry.name,
    granularity: 2 ** entry.granularityBits,
  }))
}

function flagsOf(entry: BitmapEntry): string[] {
  return [...(entry.inUse ? ['in-use'] : []), ...(entry.auto ? ['auto'] : [])]
}
