import { BlockError, type Preallocation } from '@blockloom/block-driver'
import type { Qcow2CreateOptions } from './create-options.ts'
import { newEncryption, type NewEncryption } from './encryption/create-encryption.ts'
import { NO_FEATURES, type Features } from './on-disk/features.ts'
import { COMPRESSION_TYPES, type CompressionType } from './on-disk/header.ts'
import { MAX_CLUSTER_BITS, MAX_L1_BYTES, MIN_CLUSTER_BITS, MIN_EXTENDED_L2_CLUSTER_BITS } from './on-disk/limits.ts'
import { createGeometry, l1EntriesFor, type Geometry } from './units.ts'

/** Sizes of qcow2 images are whole sectors. */
const SECTOR_SIZE = 512

/** What a new image shall be: its creation options, checked against each other. @internal */
export interface CreateSettings {
  readonly version: 2 | 3
  readonly geometry: Geometry
  /** Virtual disk size in bytes, rounded up to whole sectors. */
  readonly size: number
  readonly l1Entries: number
  readonly features: Features
  readonly compressionType: CompressionType
  readonly preallocation: Preallocation
  readonly backingFile: string | null
  readonly backingFormat: string | null
  readonly dataFile: string | null
  readonly encryption: NewEncryption | null
}

const VERSIONS: Readonly<Record<string, 2 | 3>> = { '0.10': 2, v2: 2, '1.1': 3, v3: 3 }

/** The version that a compatibility level stands for; default 3. @internal */
export function versionOf(compat = 'v3'): 2 | 3 | undefined {
  return Object.hasOwn(VERSIONS, compat) ? VERSIONS[compat] : undefined
}

/**
 * Checks creation options, in the order and with the words of qemu-img 7.2.
 *
 * @throws BlockError `invalid` that names the option; EFBIG for a size beyond what the cluster size can map
 * @internal
 */
export function createSettings(options: Qcow2CreateOptions): CreateSettings {
  const version = versionOf(options.compat)
  if (version === undefined) throw invalid('compat', `Parameter 'version' does not accept value '${options.compat}'`)
  const compressionType = COMPRESSION_TYPES.find((type) => type === options.compression_type)
  if (compressionType === undefined) {
    throw invalid('compression_type', `Parameter 'compression-type' does not accept value '${options.compression_type}'`)
  }
  const encryption = newEncryption(options)
  if (options.extended_l2 && version < 3) {
    throw invalid('extended_l2', 'Extended L2 entries are only supported with compatibility level 1.1 and above (use version=v3 or greater)')
  }
  const clusterBits = checkClusterSize(options.cluster_size, options.extended_l2)
  checkBacking(options)
  if (options.lazy_refcounts && version < 3) {
    throw invalid('lazy_refcounts', 'Lazy refcounts only supported with compatibility level 1.1 and above (use version=v3 or greater)')
  }
  const refcountOrder = checkRefcountBits(options.refcount_bits, version, 'version=v3')
  checkDataFile(options, version)
  if (compressionType !== 'zlib' && version < 3) {
    throw invalid('compression_type', 'Non-zlib compression type is only supported with compatibility level 1.1 and above (use version=v3 or greater)')
  }
  const geometry = createGeometry({ clusterBits, refcountOrder, extendedL2: options.extended_l2 })
  const size = Math.ceil(options.size / SECTOR_SIZE) * SECTOR_SIZE
  const l1Entries = l1EntriesFor(geometry, size)
  if (l1Entries * 8 > MAX_L1_BYTES) {
    throw invalid('size', "The image size is too large for file format 'qcow2' (try using a larger cluster size)", 'EFBIG')
  }
  const raw = options.data_file_raw === true
  return {
    version,
    geometry,
    size,
    l1Entries,
    features: {
      ...NO_FEATURES,
      externalData: options.data_file !== undefined,
      extendedL2: options.extended_l2,
      lazyRefcounts: options.lazy_refcounts,
      rawExternalData: raw,
    },
    compressionType,
    // A raw data file shows the guest's bytes only if every cluster is mapped to its own place from the start.
    preallocation: raw && (options.preallocation ?? 'off') === 'off' ? 'metadata' : (options.preallocation ?? 'off'),
    backingFile: options.backing_file ?? null,
    backingFormat: options.backing_fmt ?? null,
    dataFile: options.data_file ?? null,
    encryption,
  }
}

/** Returns cluster_bits. @throws BlockError `invalid` @internal */
export function checkClusterSize(size: number, extendedL2: boolean): number {
  const bits = Math.log2(size)
  if (!Number.isInteger(bits) || bits < MIN_CLUSTER_BITS || bits > MAX_CLUSTER_BITS) {
    throw invalid('cluster_size', 'Cluster size must be a power of two between 512 and 2048k')
  }
  if (extendedL2 && bits < MIN_EXTENDED_L2_CLUSTER_BITS) {
    throw invalid('extended_l2', 'Extended L2 entries are only supported with cluster sizes of at least 16384 bytes')
  }
  return bits
}

function checkBacking(options: Qcow2CreateOptions): void {
  if (options.backing_file !== undefined && (options.preallocation ?? 'off') !== 'off' && !options.extended_l2) {
    throw invalid('preallocation', 'Backing file and preallocation can only be used at the same time if extended_l2 is on')
  }
  if (options.backing_file === undefined && options.backing_fmt !== undefined) {
    throw invalid('backing_fmt', 'Backing format cannot be used without backing file')
  }
}

/** Returns refcount_order; `hint` says how to get what is missing. @throws BlockError `invalid` @internal */
export function checkRefcountBits(bits: number, version: 2 | 3, hint: string): number {
  const order = Math.log2(bits)
  if (!Number.isInteger(order) || order < 0 || order > 6) {
    throw invalid('refcount_bits', 'Refcount width must be a power of two and may not exceed 64 bits')
  }
  if (order !== 4 && version < 3) {
    throw invalid('refcount_bits', `Different refcount widths than 16 bits require compatibility level 1.1 or above (use ${hint} or greater)`)
  }
  return order
}

function checkDataFile(options: Qcow2CreateOptions, version: 2 | 3): void {
  if (options.data_file_raw === true && options.data_file === undefined) {
    throw invalid('data_file_raw', 'data-file-raw requires data-file')
  }
  if (options.data_file_raw === true && options.backing_file !== undefined) {
    throw invalid('data_file_raw', 'Backing file and data-file-raw cannot be used at the same time')
  }
  if (options.data_file !== undefined && version < 3) {
    throw invalid('data_file', 'External data files are only supported with compatibility level 1.1 and above (use version=v3 or greater)')
  }
}

function invalid(option: string, message: string, errno?: string): BlockError {
  return new BlockError('invalid', message, { ...(errno === undefined ? {} : { errno }), detail: { option } })
}
