/**
 * The protocol drivers `null-co` and `null-aio`: disks that read as zeroes and forget what is written, to measure
 * everything above them.
 *
 * @example
 * ```ts
 * import { nullCo } from '@blockloom/protocol-null'
 * import { createGraph } from '@blockloom/block-core'
 *
 * await using graph = createGraph({ drivers: [nullCo] })
 * const node = await graph.open({ driver: 'null-co', size: 10 * 1024 ** 3, 'latency-ns': 100_000 })
 * ```
 *
 * @packageDocumentation
 */
export { nullAio, nullCo } from './driver.ts'
