/**
 * The format driver `raw`: the bytes of a file are the disk, or a window of them is.
 *
 * @example The second partition of a disk, as a disk
 * ```ts
 * import { raw } from '@blockloom/format-raw'
 * import { file } from '@blockloom/protocol-file'
 * import { createGraph } from '@blockloom/block-core'
 *
 * await using graph = createGraph({ drivers: [raw, file] })
 * const partition = await graph.open({
 *   driver: 'raw', offset: 1048576, size: 64 * 1048576,
 *   file: { driver: 'file', filename: 'disk.img' },
 * })
 * ```
 *
 * @packageDocumentation
 */
export { raw } from './driver.ts'
