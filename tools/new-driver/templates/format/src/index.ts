/**
 * The format driver `acme`: a header, then the bytes of the disk.
 *
 * @example
 * ```ts
 * import { createGraph } from '@blockloom/block-core'
 * import { acme } from '@blockloom/format-acme'
 * import { file } from '@blockloom/protocol-file'
 *
 * await using graph = createGraph({ drivers: [acme, file] })
 * const disk = await graph.open({ driver: 'acme', file: { driver: 'file', filename: 'disk.acme' } })
 * ```
 *
 * @packageDocumentation
 */
export { acme } from './driver.ts'
