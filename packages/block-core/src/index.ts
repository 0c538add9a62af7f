/**
 * The block graph: named nodes, each one an opened image, protocol or filter, stacked by the consumer.
 *
 * @example
 * ```ts
 * import { createGraph } from '@blockloom/block-core'
 * import { qcow2 } from '@blockloom/format-qcow2'
 * import { file } from '@blockloom/protocol-file'
 *
 * await using graph = createGraph({ drivers: [qcow2, file] })
 * const disk = await graph.open({ driver: 'qcow2', file: { driver: 'file', filename: 'vm.qcow2' } })
 * const sector = new Uint8Array(512)
 * await disk.read(0, sector)
 * ```
 *
 * @packageDocumentation
 */
export { DirtyBitmap } from './dirty-bitmaps/dirty-bitmap.ts'
export { DirtyBitmaps } from './dirty-bitmaps/dirty-bitmaps.ts'
export type { NewDirtyBitmap } from './dirty-bitmaps/dirty-bitmaps.ts'
export { FrozenBits } from './dirty-bitmaps/frozen-bits.ts'
export { Events } from './events.ts'
export type { Unsubscribe } from './events.ts'
export type { CreateRequest } from './graph/create-image.ts'
export type { FilenameOptions } from './graph/filename-spec.ts'
export type { Gate, GateRequest } from './graph/gate.ts'
export { Graph, createGraph } from './graph/graph.ts'
export type { GraphEvents, GraphOptions } from './graph/graph.ts'
export type { OpenOptions } from './graph/open-node.ts'
export type { RawSpec } from './graph/raw-spec.ts'
export { BlockNode } from './node/block-node.ts'
export type { NodeSettings } from './node/block-node.ts'
export type { BeforeWrite, RequestSettings, WriteNotice } from './request/requests.ts'
export type { RequestKind } from './request/tracker.ts'
export type { BlockStatus } from './status/block-status.ts'
