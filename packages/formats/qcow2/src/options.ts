import { option, type OptionsOf } from '@blockloom/block-driver'

/**
 * Run-time options, with the names of QAPI's `BlockdevOptionsQcow2`.
 *
 * @public
 */
export const qcow2Options = {
  'cache-size': option.size('Most memory for both metadata caches together'),
  'l2-cache-size': option.size('Most memory for L2 tables; memory follows use. Default: 32M'),
  'l2-cache-entry-size': option.size('Bytes of an L2 table that are read and written together, a power of two from 512 to the cluster size. Default: the cluster size, up to 64k'),
  'refcount-cache-size': option.size('Most memory for refcount blocks; memory follows use. Default: 1M, or four clusters if that is more'),
  'pass-discard-request': option.boolean('Discards of the guest are passed on to the file', { default: true }),
  'pass-discard-snapshot': option.boolean('Space that becomes free with an internal snapshot is discarded in the file', { default: true }),
  'pass-discard-other': option.boolean('Space that becomes free in other ways is discarded in the file', { default: false }),
} as const

/** Validated run-time options. @public */
export type Qcow2Options = OptionsOf<typeof qcow2Options>
