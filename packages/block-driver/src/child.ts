import type { Extent } from './extent.ts'
import type { ResizeOptions } from './facets/resize.ts'
import type { Limits } from './limits.ts'

/**
 * A driver's view of a node below it. Requests go through the child's whole pipeline: any alignment works,
 * long requests are split, fallbacks are the core's.
 *
 * @public
 */
export interface ChildHandle {
  /** The name of the slot: `file`, `backing`, `data-file`, … */
  readonly name: string
  /** The node name of what is attached now. */
  readonly nodeName: string
  readonly limits: Limits
  /** The parent may write to it now. */
  readonly writable: boolean
  /** A fresh file of this kind reads as zeroes beyond what was written. */
  readonly zeroInit: boolean
  /** Current size in bytes. */
  size(): number | Promise<number>
  /** Fills `into`; bytes past the end of the child are zeroes. */
  read(offset: number, into: Uint8Array, flags?: number): Promise<void>
  /** Writes; past the end it grows the child if its permissions include resize. The buffer must stay unchanged until it settles. */
  write(offset: number, from: Uint8Array, flags?: number): Promise<void>
  /** Makes a range read as zeroes, by writing zeroes if need be. Past the end it grows the child. */
  zero(offset: number, bytes: number, flags?: number): Promise<void>
  /** Advice that a range is not needed; what it reads as afterwards is not defined. */
  discard(offset: number, bytes: number): Promise<void>
  /** `stable`: everything acknowledged before is on stable storage afterwards. */
  flush(scope: FlushScope): Promise<void>
  /** What is known about a range; the whole chain below is not asked. */
  extents(offset: number, bytes: number): Extent | Promise<Extent>
  resize(size: number, options?: ResizeOptions): Promise<void>
  /** Space really used on the host, or `undefined` if not known. */
  allocatedSize(): Promise<number | undefined>
}

/** `host`: out of our caches; `stable`: survives power loss. @public */
export type FlushScope = 'host' | 'stable'

/** A child that may be absent, or come and go while the image is open (a backing file). @public */
export interface ChildSlot {
  readonly current: ChildHandle | null
}
