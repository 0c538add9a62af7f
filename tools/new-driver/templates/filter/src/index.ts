/**
 * The filter driver `acme`: shows its child as it is.
 *
 * @example
 * ```ts
 * import { createGraph } from '@blockloom/block-core'
 * import { acme } from '@blockloom/filter-acme'
 * import { file } from '@blockloom/protocol-file'
 *
 * await using graph = createGraph({ drivers: [acme, file] })
 * const disk = await graph.open({ driver: 'acme', file: { driver: 'file', filename: 'disk.img' } })
 * ```
 *
 * @packageDocumentation
 */
export { acme } from './driver.ts'
