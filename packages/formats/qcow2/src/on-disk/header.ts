import type { HostOffset } from '../units.ts'
import type { Features } from './features.ts'
import type { FeatureBits } from './integers.ts'

/** How guest data is encrypted: `crypt_method` 0, 1, 2. @internal */
export type EncryptionMethod = 'none' | 'aes' | 'luks'

/** How compressed clusters are compressed: `compression_type` 0, 1. @internal */
export type CompressionType = 'zlib' | 'zstd'

/** In the order of their numbers on disk. @internal */
export const ENCRYPTION_METHODS: readonly EncryptionMethod[] = Object.freeze(['none', 'aes', 'luks'])

/** In the order of their numbers on disk. @internal */
export const COMPRESSION_TYPES: readonly CompressionType[] = Object.freeze(['zlib', 'zstd'])

/**
 * The fixed part of the header, decoded and checked. Immutable: an update is a new object.
 *
 * The backing file name and where it lies are part of the header *area* (header-area.ts), which computes the
 * two fields when it lays the area out.
 *
 * Source: qcow2 specification, "Header".
 *
 * @internal
 */
export interface Header {
  readonly version: 2 | 3
  readonly clusterBits: number
  /** Virtual disk size in bytes. */
  readonly size: number
  readonly encryption: EncryptionMethod
  /** Entries of the active L1 table; at least what `size` needs. */
  readonly l1Entries: number
  readonly l1Offset: HostOffset
  readonly refcountTableOffset: HostOffset
  readonly refcountTableClusters: number
  /** 4 in version 2. */
  readonly refcountOrder: number
  /** At most `MAX_SNAPSHOTS`, unless decoded for `check`: then `validateSnapshotTable` before use. */
  readonly snapshotCount: number
  /** Like `snapshotCount`: unchecked, and rounded above 2^53, if decoded for `check`. */
  readonly snapshotTableOffset: HostOffset
  /** All false in version 2. */
  readonly features: Features
  /** `zlib` in version 2. */
  readonly compressionType: CompressionType
  /** Compatible bits that we do not know: kept when the header is rewritten. */
  readonly unknownCompatible: FeatureBits
  /** Autoclear bits that we do not know: must be cleared (`NO_BITS`) before the image is written to. */
  readonly unknownAutoclear: FeatureBits
  /** `header_length` as it is on disk; 72 in version 2. */
  readonly headerLength: number
  /**
   * Header bytes after compression_type, up to `headerLength`: padding and fields that we do not know, kept when
   * the header is rewritten. Empty in version 2.
   */
  readonly additionalFields: Uint8Array
}

/**
 * Byte ranges [from, to) of header fields that are updated in place together.
 *
 * An update of one group writes `encodeHeader(header).subarray(from, to)` at file offset `from`; all groups lie
 * inside the first sector, so such a write is not torn by hardware that writes sectors whole.
 *
 * @internal
 */
export const HEADER_FIELDS = Object.freeze({
  size: Object.freeze([24, 32] as const),
  /** l1_size and l1_table_offset. */
  l1: Object.freeze([36, 48] as const),
  /** refcount_table_offset and refcount_table_clusters. */
  refcountTable: Object.freeze([48, 60] as const),
  /** Everything from the size to the snapshots: all that leads to tables. */
  tables: Object.freeze([24, 72] as const),
  /** nb_snapshots and snapshots_offset. */
  snapshots: Object.freeze([60, 72] as const),
  /** The incompatible field alone: the dirty and corrupt bits. Version 3. */
  incompatible: Object.freeze([72, 80] as const),
  /** All three feature fields. Version 3. */
  features: Object.freeze([72, 96] as const),
})
