import { option } from '@blockloom/block-driver'

/** Options of `null-co` and `null-aio`. @internal */
export const nullOptions = {
  size: option.size('Size in bytes', { default: 1024 ** 3 }),
  'latency-ns': option.integer('Time that each request takes, in nanoseconds', { default: 0, min: 0, reopen: true }),
  'read-zeroes': option.boolean('Report the disk as zeroes, so that users of it need not read', { default: false, reopen: true }),
}
