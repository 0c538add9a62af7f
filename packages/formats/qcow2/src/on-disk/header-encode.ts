import { BlockError } from '@blockloom/block-driver'
import { featureFields, type FeatureFields } from './features.ts'
import { COMPRESSION_TYPES, ENCRYPTION_METHODS, type Header } from './header.ts'
import { MAGIC } from './header-decode.ts'
import { isEmpty, viewOf, writeBits, writeU32, writeU64 } from './integers.ts'
import { V2_HEADER_LENGTH, V3_HEADER_LENGTH } from './limits.ts'

/** Where the backing file name is in the image, for the two header fields. @internal */
export interface BackingFileField {
  readonly offset: number
  readonly length: number
}

/**
 * How long the fixed header is when it is written: 72 bytes in version 2, else 112 or what the image had, if that
 * is more.
 *
 * @internal
 */
export function encodedHeaderLength(header: Header): number {
  if (header.version === 2) return V2_HEADER_LENGTH
  return Math.max(V3_HEADER_LENGTH, Math.ceil((105 + header.additionalFields.length) / 8) * 8)
}

/**
 * Encodes the fixed header.
 *
 * Without `backing` the two backing fields are zero: pass it unless only a group of `HEADER_FIELDS` is written.
 *
 * @throws BlockError `invalid`, if a field does not fit its width, or a version 2 header has version 3 features.
 * @internal
 */
export function encodeHeader(header: Header, backing: BackingFileField = { offset: 0, length: 0 }): Uint8Array {
  const bytes = new Uint8Array(encodedHeaderLength(header))
  const view = viewOf(bytes)
  view.setUint32(0, MAGIC)
  view.setUint32(4, header.version)
  writeU64(view, 8, backing.offset, 'backing_file_offset')
  writeU32(view, 16, backing.length, 'backing_file_size')
  writeU32(view, 20, header.clusterBits, 'cluster_bits')
  writeU64(view, 24, header.size, 'size')
  view.setUint32(32, ENCRYPTION_METHODS.indexOf(header.encryption))
  writeU32(view, 36, header.l1Entries, 'l1_size')
  writeU64(view, 40, header.l1Offset, 'l1_table_offset')
  writeU64(view, 48, header.refcountTableOffset, 'refcount_table_offset')
  writeU32(view, 56, header.refcountTableClusters, 'refcount_table_clusters')
  writeU32(view, 60, header.snapshotCount, 'nb_snapshots')
  writeU64(view, 64, header.snapshotTableOffset, 'snapshots_offset')

  const fields = featureFields(header.features, header.compressionType !== 'zlib', {
    compatible: header.unknownCompatible,
    autoclear: header.unknownAutoclear,
  })
  if (header.version === 2) {
    refuseV3Features(header, fields)
    return bytes
  }
  writeBits(view, 72, fields.incompatible)
  writeBits(view, 80, fields.compatible)
  writeBits(view, 88, fields.autoclear)
  writeU32(view, 96, header.refcountOrder, 'refcount_order')
  view.setUint32(100, bytes.length)
  view.setUint8(104, COMPRESSION_TYPES.indexOf(header.compressionType))
  bytes.set(header.additionalFields, 105)
  return bytes
}

function refuseV3Features(header: Header, fields: FeatureFields): void {
  const plain = isEmpty(fields.incompatible) && isEmpty(fields.compatible) && isEmpty(fields.autoclear)
  if (plain && header.refcountOrder === 4) return
  throw new BlockError('invalid', 'A version 2 header has no feature bits and 16-bit refcounts', {
    detail: { field: 'version' },
  })
}
