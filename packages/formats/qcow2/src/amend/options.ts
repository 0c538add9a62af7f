import { option, type OptionsOf } from '@blockloom/block-driver'
import { encryptAmendOptions } from '../encryption/options.ts'

/** Options that an existing image can be amended with, as `qemu-img amend -o help` shows them. @internal */
export const qcow2AmendOptions = {
  backing_file: option.string('File name of a base image'),
  backing_fmt: option.string('Image format of the base image'),
  compat: option.string('Compatibility level (v2 [0.10] or v3 [1.1])'),
  data_file: option.string('File name of an external data file'),
  data_file_raw: option.boolean('The external data file must stay valid as a raw image'),
  encrypt: encryptAmendOptions,
  lazy_refcounts: option.boolean('Postpone refcount updates'),
  refcount_bits: option.integer('Width of a reference count entry in bits'),
  size: option.size('Virtual disk size'),
} as const

/** What an image is to become, parsed; what is left out stays as it is. @internal */
export type Qcow2AmendOptions = OptionsOf<typeof qcow2AmendOptions>
