/**
 * The protocol driver `acme`: a disk that reads as zeroes.
 *
 * @example
 * ```ts
 * import { createGraph } from '@blockloom/block-core'
 * import { acme } from '@blockloom/protocol-acme'
 *
 * await using graph = createGraph({ drivers: [acme] })
 * const disk = await graph.open({ driver: 'acme', size: 1024 ** 3 })
 * ```
 *
 * @packageDocumentation
 */
export { acme } from './driver.ts'
