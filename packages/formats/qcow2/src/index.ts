/**
 * qcow2 disk images, versions 2 and 3, for reading and writing.
 *
 * @example
 * ```ts
 * import { createGraph } from '@blockloom/block-core'
 * import { qcow2 } from '@blockloom/format-qcow2'
 * import { file } from '@blockloom/protocol-file'
 *
 * await using graph = createGraph({ drivers: [qcow2, file] })
 * const disk = await graph.open({ driver: 'qcow2', file: { driver: 'file', filename: 'vm.qcow2' } })
 * ```
 *
 * @packageDocumentation
 */
export { qcow2 } from './driver.ts'
export { qcow2Options } from './options.ts'
export type { Qcow2Options } from './options.ts'
