import { BlockError } from '@blockloom/block-driver'
import { createGeometry, hostOffset, type Geometry } from '../units.ts'
import { FEATURE_BIT, namedFeatures, unknownFeatures, type FeatureFields, type Features } from './features.ts'
import { describeUnknownFeatures, findFeatureNames } from './feature-names.ts'
import { COMPRESSION_TYPES, ENCRYPTION_METHODS, type CompressionType, type Header } from './header.ts'
import { hasBit, isEmpty, NO_BITS, readBits, readU64Rounded, viewOf } from './integers.ts'
import { malformed, unsupported } from './malformed.ts'
import * as limits from './limits.ts'
import { validateTable } from './table-bounds.ts'

/** "QFI" and 0xfb. Spec, "Header". @internal */
export const MAGIC = 0x514649fb

/** What an image is opened for. @internal */
export interface DecodeOptions {
  /**
   * `check` accepts what a consistency check itself reports or repairs: an empty refcount table, and a snapshot
   * table that is too large or at an invalid offset (validate it before use). Default `open`.
   */
  readonly purpose?: 'open' | 'check'
}

/** A decoded fixed header and what only the header area needs of it. @internal */
export interface DecodedHeader {
  readonly header: Header
  readonly geometry: Geometry
  /** 0 if there is no backing file; else at most the cluster size. */
  readonly backingOffset: number
  /** Unchecked: the header area checks it after the extensions, as QEMU does. */
  readonly backingLength: number
}

/**
 * True if `bytes` start like a qcow2 image of version 2 or later, so that a version that this driver does not read is
 * refused by its number, and not taken for raw. Never throws. @internal
 */
export function hasQcow2Magic(bytes: Uint8Array): boolean {
  if (bytes.length < 8) return false
  const view = viewOf(bytes)
  return view.getUint32(0) === MAGIC && view.getUint32(4) >= 2
}

/**
 * The cluster size, so that a caller knows how much the header area is. Needs the first 24 bytes.
 *
 * @throws BlockError, if the magic, the version or cluster_bits is wrong.
 * @internal
 */
export function readClusterSize(bytes: Uint8Array): number {
  if (bytes.length < 24) throw malformed('magic', 'qcow2 header too short')
  return 2 ** readClusterBits(viewOf(bytes))
}

/**
 * Decodes and checks the fixed header. `bytes` is the whole first cluster (zero-filled where the file is shorter):
 * the feature name table in it names unknown features.
 *
 * Checks in the order of qemu-img 7.2, with its messages. What needs the file's size is for the caller.
 *
 * @throws BlockError that names the field: `invalid` for another format, `unsupported`, else `corrupt`.
 * @internal
 */
export function decodeHeader(bytes: Uint8Array, options: DecodeOptions = {}): DecodedHeader {
  const view = viewOf(bytes)
  const clusterBits = readClusterBits(view)
  const clusterSize = 2 ** clusterBits
  const version = view.getUint32(4) as 2 | 3
  const headerLength = readHeaderLength(view, version, clusterSize)
  const backingOffset = readU64Rounded(view, 8)
  if (backingOffset > clusterSize) throw malformed('backing_file_offset', 'Invalid backing file offset')

  const compressionType = readCompressionType(view, headerLength)
  const fields = readFeatures(view, version)
  checkCompressionBit(fields, compressionType)
  const unknown = unknownFeatures(fields)
  if (!isEmpty(unknown.incompatible)) {
    const names = findFeatureNames(bytes, headerLength, backingOffset === 0 ? clusterSize : backingOffset)
    throw unsupported('incompatible_features', describeUnknownFeatures(unknown.incompatible, names))
  }
  const features = namedFeatures(fields)
  checkFeatures(features, clusterBits)

  const refcountOrder = version === 2 ? 4 : view.getUint32(96)
  const geometry = createImageGeometry(clusterBits, refcountOrder, features.extendedL2)
  const tables = readTables(view, geometry, options.purpose ?? 'open')
  const encryption = ENCRYPTION_METHODS[view.getUint32(32)]
  if (encryption === undefined) {
    // QEMU prints the field as a signed number.
    throw unsupported('crypt_method', `Unsupported encryption method ${view.getInt32(32)}`)
  }
  const header: Header = {
    version,
    clusterBits,
    ...tables,
    encryption,
    refcountOrder,
    features,
    compressionType,
    unknownCompatible: unknown.compatible,
    unknownAutoclear: unknown.autoclear,
    headerLength,
    additionalFields: bytes.slice(Math.min(105, headerLength), headerLength),
  }
  return { header, geometry, backingOffset, backingLength: view.getUint32(16) }
}

function readClusterBits(view: DataView): number {
  if (view.getUint32(0) !== MAGIC) {
    throw new BlockError('invalid', 'Image is not in qcow2 format', { detail: { field: 'magic' } })
  }
  const version = view.getUint32(4)
  if (version !== 2 && version !== 3) throw unsupported('version', `Unsupported qcow2 version ${version}`)
  const clusterBits = view.getUint32(20)
  const message = `Unsupported cluster size: 2^${clusterBits}`
  if (clusterBits < limits.MIN_CLUSTER_BITS) throw malformed('cluster_bits', message)
  if (clusterBits > limits.MAX_CLUSTER_BITS) throw unsupported('cluster_bits', message)
  return clusterBits
}

function readHeaderLength(view: DataView, version: 2 | 3, clusterSize: number): number {
  if (version === 2) return limits.V2_HEADER_LENGTH
  // The specification asks for a multiple of 8; QEMU does not insist, and such images are readable.
  const length = view.getUint32(100)
  if (length < limits.V3_MIN_HEADER_LENGTH) throw malformed('header_length', 'qcow2 header too short')
  if (length > clusterSize) throw malformed('header_length', 'qcow2 header exceeds cluster size')
  return length
}

function readCompressionType(view: DataView, headerLength: number): CompressionType {
  // "A field is considered not present when header_length is less than or equal to the field's offset."
  const number = headerLength > 104 ? view.getUint8(104) : 0
  const type = COMPRESSION_TYPES[number]
  if (type === undefined) throw unsupported('compression_type', `qcow2: unknown compression type: ${number}`)
  return type
}

function readFeatures(view: DataView, version: 2 | 3): FeatureFields {
  if (version === 2) return { incompatible: NO_BITS, compatible: NO_BITS, autoclear: NO_BITS }
  return { incompatible: readBits(view, 72), compatible: readBits(view, 80), autoclear: readBits(view, 88) }
}

function checkCompressionBit(fields: FeatureFields, type: CompressionType): void {
  if (hasBit(fields.incompatible, FEATURE_BIT.incompatible.compressionType) !== (type !== 'zlib')) {
    const must = type === 'zlib' ? 'must not' : 'must'
    throw malformed('compression_type', `qcow2: Compression type incompatible feature bit ${must} be set`)
  }
}

function checkFeatures(features: Features, clusterBits: number): void {
  if (features.extendedL2 && clusterBits < limits.MIN_EXTENDED_L2_CLUSTER_BITS) {
    const size = 2 ** clusterBits / limits.SUBCLUSTERS_PER_CLUSTER
    throw malformed('cluster_bits', `Unsupported subcluster size: ${size}`)
  }
  // Spec, autoclear bit 1: "may only be set if the External Data File bit is also set".
  if (features.rawExternalData && !features.externalData) {
    throw malformed('autoclear_features', 'data-file-raw requires a data file')
  }
}

function createImageGeometry(clusterBits: number, refcountOrder: number, extendedL2: boolean): Geometry {
  if (refcountOrder > limits.MAX_REFCOUNT_ORDER) {
    throw malformed('refcount_order', 'Reference count entry width too large; may not exceed 64 bits')
  }
  return createGeometry({ clusterBits, refcountOrder, extendedL2 })
}

function readTables(view: DataView, geometry: Geometry, purpose: 'open' | 'check') {
  const { clusterSize } = geometry
  const size = readU64Rounded(view, 24)
  const l1Entries = view.getUint32(36)
  const l1Offset = hostOffset(readU64Rounded(view, 40))
  const refcountTableOffset = hostOffset(readU64Rounded(view, 48))
  const refcountTableClusters = view.getUint32(56)
  const snapshotCount = view.getUint32(60)
  const snapshotTableOffset = hostOffset(readU64Rounded(view, 64))

  if (refcountTableClusters > limits.MAX_REFCOUNT_TABLE_BYTES / clusterSize) {
    throw malformed('refcount_table_clusters', 'Reference count table too large', 'EFBIG')
  }
  if (refcountTableClusters === 0 && purpose === 'open') {
    throw malformed('refcount_table_clusters', 'Image does not contain a reference count table')
  }
  validateTable({
    name: 'Reference count table',
    field: 'refcount_table_offset',
    offset: refcountTableOffset,
    entries: refcountTableClusters,
    entrySize: clusterSize,
    maxBytes: limits.MAX_REFCOUNT_TABLE_BYTES,
    clusterSize,
  })
  if (purpose === 'open') validateSnapshotTable(snapshotCount, snapshotTableOffset, clusterSize)
  validateTable({
    name: 'Active L1 table',
    field: 'l1_table_offset',
    offset: l1Offset,
    entries: l1Entries,
    entrySize: 8,
    maxBytes: limits.MAX_L1_BYTES,
    clusterSize,
  })
  checkSize(size, l1Entries, geometry)
  return { size, l1Entries, l1Offset, refcountTableOffset, refcountTableClusters, snapshotCount, snapshotTableOffset }
}

/**
 * Checks nb_snapshots and snapshots_offset, which decoding for `check` leaves to its caller.
 *
 * @throws BlockError `corrupt`: "Snapshot table too large" (EFBIG), "Snapshot table offset invalid".
 * @internal
 */
export function validateSnapshotTable(count: number, offset: number, clusterSize: number): void {
  validateTable({
    name: 'Snapshot table',
    field: 'snapshots_offset',
    offset,
    entries: count,
    entrySize: 1,
    maxBytes: limits.MAX_SNAPSHOTS,
    clusterSize,
  })
}

function checkSize(size: number, l1Entries: number, geometry: Geometry): void {
  const needed = Math.ceil(size / geometry.l2Coverage)
  if (needed > 0x7fff_ffff) throw malformed('size', 'Image is too big', 'EFBIG')
  if (needed > l1Entries) throw malformed('l1_size', 'L1 table is too small')
  if (size > Number.MAX_SAFE_INTEGER) {
    throw new BlockError('unsupported', 'Image is too big', { errno: 'EFBIG', detail: { field: 'size' } })
  }
}
