/**
 * The protocol driver `file`: regular files on the host, with holes, image locks that QEMU respects, O_DIRECT and
 * preallocation.
 *
 * @example
 * ```ts
 * import { file } from '@blockloom/protocol-file'
 * import { createGraph } from '@blockloom/block-core'
 *
 * await using graph = createGraph({ drivers: [file] })
 * const node = await graph.open({ driver: 'file', filename: 'disk.img', cache: { direct: true } })
 * ```
 *
 * @packageDocumentation
 */
export { file, fileDriver } from './driver.ts'
export type { FileDriverInit } from './driver.ts'
