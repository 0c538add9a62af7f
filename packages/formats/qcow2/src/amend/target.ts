import { BlockError } from '@blockloom/block-driver'
import { versionOf } from '../create-settings.ts'
import type { Qcow2Image } from '../image.ts'
import { MAX_L1_BYTES } from '../on-disk/limits.ts'
import { l1EntriesFor } from '../units.ts'
import type { Qcow2AmendOptions } from './options.ts'

/** What an image will be, as far as that is known without reading its tables. @internal */
export interface AmendTarget {
  readonly version: 2 | 3
  readonly refcountOrder: number
  /** Bytes. */
  readonly size: number
  readonly lazyRefcounts: boolean
  readonly rawExternalData: boolean
  readonly dataFile: string | null
}

/**
 * Checks options against each other and the image, in the order and with the words of qemu-img 7.2.
 *
 * @throws BlockError `invalid` or `unsupported` that names the option
 * @internal
 */
export function amendTarget(image: Qcow2Image, options: Qcow2AmendOptions): AmendTarget {
  const { header, area, externalData } = image
  checkEncryption(image, options)
  const version = options.compat === undefined ? header.version : versionOf(options.compat)
  if (version === undefined) throw invalid('compat', `Unknown compatibility level ${options.compat}`)
  if (options.data_file !== undefined && !externalData) {
    throw invalid('data_file', 'data-file can only be set for images that use an external data file')
  }
  if (options.data_file_raw === true && !header.features.rawExternalData) {
    throw invalid('data_file_raw', 'data-file-raw cannot be set on existing images')
  }
  const refcountOrder = options.refcount_bits === undefined ? header.refcountOrder : orderOf(options.refcount_bits)
  if (options.refcount_bits !== undefined && version < 3 && refcountOrder !== 4) {
    throw invalid('refcount_bits', 'Refcount widths other than 16 bits require compatibility level 1.1 or above (use compat=1.1 or greater)')
  }
  checkBacking(image, options)
  if (options.lazy_refcounts === true && version < 3) {
    throw invalid('lazy_refcounts', 'Lazy refcounts only supported with compatibility level 1.1 and above (use compat=1.1 or greater)')
  }
  const size = options.size ?? header.size
  if (options.size !== undefined) checkSize(image, options.size, Math.max(version, header.version))
  return {
    version,
    refcountOrder,
    size,
    lazyRefcounts: options.lazy_refcounts ?? header.features.lazyRefcounts,
    rawExternalData: options.data_file_raw ?? header.features.rawExternalData,
    // An empty name removes it: whoever opens the image says which file it is.
    dataFile: options.data_file === undefined ? area.extensions.dataFile : options.data_file || null,
  }
}

function checkEncryption({ header }: Qcow2Image, options: Qcow2AmendOptions): void {
  if (options.encrypt === undefined) return
  const option = `encrypt.${Object.keys(options.encrypt)[0] ?? 'state'}`
  if (header.encryption === 'none') throw invalid(option, "Can't amend encryption options - encryption not present")
  if (header.encryption === 'luks') return
  throw new BlockError('unsupported', 'Only LUKS encryption options can be amended', { detail: { option } })
}

function orderOf(bits: number): number {
  const order = Math.log2(bits)
  if (Number.isInteger(order) && order >= 0 && order <= 6) return order
  throw invalid('refcount_bits', 'Refcount width must be a power of two and may not exceed 64 bits')
}

/** Both are accepted if they say what the image says. */
function checkBacking({ area }: Qcow2Image, { backing_file: file, backing_fmt: format }: Qcow2AmendOptions): void {
  if (file === undefined && format === undefined) return
  if ((file ?? null) === area.backingFile && (format ?? null) === area.extensions.backingFormat) return
  throw invalid(file === undefined ? 'backing_fmt' : 'backing_file', 'Cannot amend the backing file')
}

function checkSize({ header, geometry }: Qcow2Image, size: number, version: number): void {
  if (size % 512 !== 0) throw invalid('size', 'The new size must be a multiple of 512')
  if (version < 3 && header.snapshotCount > 0) {
    throw new BlockError('unsupported', "Can't resize a v2 image which has snapshots", { detail: { option: 'size' } })
  }
  if (l1EntriesFor(geometry, size) * 8 > MAX_L1_BYTES) {
    throw new BlockError('invalid', 'Failed to grow the L1 table: File too large', { errno: 'EFBIG', detail: { option: 'size' } })
  }
}

function invalid(option: string, message: string): BlockError {
  return new BlockError('invalid', message, { detail: { option } })
}
