import { option, type OptionsOf } from '@blockloom/block-driver'
import { encryptCreateOptions } from './encryption/options.ts'

/**
 * Options of a new qcow2 image, in the order in which `qemu-img create` repeats them. Those with a default are
 * repeated even if they were not given.
 *
 * @internal
 */
export const qcow2CreateOptions = {
  encryption: option.boolean("Encrypt the image with format 'aes'. (Deprecated in favor of encrypt.format=aes)"),
  encrypt: encryptCreateOptions,
  cluster_size: option.size('qcow2 cluster size', { default: 65536 }),
  extended_l2: option.boolean('Extended L2 tables', { default: false }),
  preallocation: option.choice(['off', 'metadata', 'falloc', 'full'], 'Preallocation mode (allowed values: off, metadata, falloc, full)'),
  compression_type: option.string('Compression method used for image cluster compression', { default: 'zlib' }),
  size: option.size('Virtual disk size', { required: true }),
  compat: option.string('Compatibility level (v2 [0.10] or v3 [1.1])'),
  backing_file: option.string('File name of a base image'),
  backing_fmt: option.string('Image format of the base image'),
  data_file: option.string('File name of an external data file'),
  data_file_raw: option.boolean('The external data file must stay valid as a raw image'),
  lazy_refcounts: option.boolean('Postpone refcount updates', { default: false }),
  refcount_bits: option.integer('Width of a reference count entry in bits', { default: 16 }),
} as const

/** Options of a new image, parsed. @internal */
export type Qcow2CreateOptions = OptionsOf<typeof qcow2CreateOptions>
