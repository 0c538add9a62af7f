import { option, type OptionsOf } from '@blockloom/block-driver'

const overlapChecks = {
  template: option.choice(['none', 'constant', 'cached', 'all'], 'Which checks are made, also written `overlap-check=...`; the others switch single ones. Default: `cached`, all but `inactive-l2`'),
  'main-header': option.boolean('Check for unintended writes into the main qcow2 header'),
  'active-l1': option.boolean('Check for unintended writes into the active L1 table'),
  'active-l2': option.boolean('Check for unintended writes into an active L2 table'),
  'refcount-table': option.boolean('Check for unintended writes into the refcount table'),
  'refcount-block': option.boolean('Check for unintended writes into a refcount block'),
  'snapshot-table': option.boolean('Check for unintended writes into the snapshot table'),
  'inactive-l1': option.boolean('Check for unintended writes into an inactive L1 table'),
  'inactive-l2': option.boolean('Check for unintended writes into an inactive L2 table'),
  'bitmap-directory': option.boolean('Check for unintended writes into the bitmap directory'),
} as const
import { encryptOptions } from './encryption/options.ts'

/**
 * Run-time options, with the names of QAPI's `BlockdevOptionsQcow2`.
 *
 * @public
 */
export const qcow2Options = {
  'overlap-check': option.object(overlapChecks, 'Structures of the image that are never written over as something else', { shorthand: 'template' }),
  'lazy-refcounts': option.boolean('Postpone refcount updates: flushes leave refcounts behind, and the image is dirty until it is closed. Default: as the image says'),
  'cache-size': option.size('Most memory for both metadata caches together'),
  'l2-cache-size': option.size('Most memory for L2 tables; memory follows use. Default: 32M'),
  'l2-cache-entry-size': option.size('Bytes of an L2 table that are read and written together, a power of two from 512 to the cluster size. Default: the cluster size, up to 64k'),
  'refcount-cache-size': option.size('Most memory for refcount blocks; memory follows use. Default: 1M, or four clusters if that is more'),
  encrypt: encryptOptions,
  'cache-clean-interval': option.integer('Seconds after which cache entries that were not used are dropped; 0 keeps them', { default: 600 }),
  'pass-discard-request': option.boolean('Discards of the guest are passed on to the file', { default: true }),
  'pass-discard-snapshot': option.boolean('Space that becomes free with an internal snapshot is discarded in the file', { default: true }),
  'pass-discard-other': option.boolean('Space that becomes free in other ways is discarded in the file', { default: false }),
  'discard-no-unref': option.boolean('Clusters stay allocated when they are discarded or become zeroes, so that the file is not fragmented; version 3', { default: false }),
} as const

/** Validated run-time options. @public */
export type Qcow2Options = OptionsOf<typeof qcow2Options>
