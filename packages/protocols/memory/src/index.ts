/**
 * The protocol driver `memory`: a sparse disk in memory, for tests, scratch space and images received as bytes.
 *
 * @example A disk that a graph and a program share
 * ```ts
 * import { createMemoryDisk, memoryDriver } from '@blockloom/protocol-memory'
 * import { createGraph } from '@blockloom/block-core'
 *
 * const disk = createMemoryDisk(new TextEncoder().encode('hello, disk'))
 * await using graph = createGraph({ drivers: [memoryDriver(new Map([['greeting', disk]]))] })
 * const node = await graph.open({ driver: 'memory', name: 'greeting' })
 * ```
 *
 * @packageDocumentation
 */
export { memory, memoryDriver } from './driver.ts'
export { createMemoryDisk } from './memory-disk.ts'
export type { MemoryDisk, MemoryRun } from './memory-disk.ts'
