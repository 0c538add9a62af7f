import { BlockError, isBlockError } from '@blockloom/block-driver'
import type { CreateSettings } from './create-settings.ts'
import { defaultFeatureNames } from './on-disk/feature-names.ts'
import { layoutHeaderArea } from './on-disk/header-area.ts'
import { NO_EXTENSIONS, type EncryptionPointer } from './on-disk/header-extensions.ts'
import type { Header } from './on-disk/header.ts'
import { NO_BITS } from './on-disk/integers.ts'
import { hostOffset } from './units.ts'

/** Where the tables of a new image are, in bytes and clusters. @internal */
export interface TablePlaces {
  readonly l1Offset: number
  readonly refcountTableOffset: number
  readonly refcountTableClusters: number
  /** Of the encryption header; null if there is none. */
  readonly encryption: EncryptionPointer | null
}

/**
 * The header area of a new image. Its length does not depend on `places`.
 *
 * @throws BlockError `invalid` or `no-space`, if the backing or data file name is too long
 * @internal
 */
export function newHeaderArea(settings: CreateSettings, places: TablePlaces): Uint8Array {
  const { version, geometry, backingFile, backingFormat } = settings
  const header: Header = {
    version,
    clusterBits: geometry.clusterBits,
    size: settings.size,
    encryption: settings.encryption?.format ?? 'none',
    l1Entries: settings.l1Entries,
    l1Offset: hostOffset(places.l1Offset),
    refcountTableOffset: hostOffset(places.refcountTableOffset),
    refcountTableClusters: places.refcountTableClusters,
    refcountOrder: geometry.refcountOrder,
    snapshotCount: 0,
    snapshotTableOffset: hostOffset(0),
    features: settings.features,
    compressionType: settings.compressionType,
    unknownCompatible: NO_BITS,
    unknownAutoclear: NO_BITS,
    headerLength: 0,
    additionalFields: new Uint8Array(),
  }
  const extensions = {
    ...NO_EXTENSIONS,
    backingFormat,
    dataFile: settings.dataFile,
    encryption: places.encryption,
    featureNames: defaultFeatureNames(version, geometry.clusterBits),
  }
  try {
    return layoutHeaderArea({ header, extensions, backingFile })
  } catch (error) {
    if (backingFile === null || !isBlockError(error)) throw error
    const reason = error.errno === 'ENOSPC' ? 'No space left on device' : 'Invalid argument'
    throw new BlockError(error.code, `Could not assign backing file '${backingFile}' with format '${backingFormat}': ${reason}`, {
      errno: error.errno,
      cause: error,
      detail: { option: 'backing_file' },
    })
  }
}
