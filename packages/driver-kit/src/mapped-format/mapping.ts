import { BlockError, type ChildHandle, type ChildSlot, type FlushScope } from '@blockloom/block-driver'

/**
 * Where guest bytes lie, and how far that holds. `bytes` may be more than was asked.
 *
 * - `data`: in the file, unchanged, from `host` on
 * - `zero`: read as zeroes; `host` if a place is allocated for them
 * - `absent`: in the backing child, or zeroes if there is none
 *
 * @public
 */
export type Mapping =
  | { readonly kind: 'data'; readonly bytes: number; readonly host: number }
  | { readonly kind: 'zero'; readonly bytes: number; readonly host?: number }
  | { readonly kind: 'absent'; readonly bytes: number }

/** A place for one block that no mapping names yet. @public */
export interface Allocation {
  /** Where the block will lie in the file. */
  readonly host: number
  /** The place is known to read as zeroes now, for example because it lies behind the end of the file. */
  readonly readsAsZero: boolean
  /** The data is written: make the mapping name it. Orders its own metadata behind the data; if that fails, cleans up itself. */
  commit(): Promise<void>
  /** The data could not be written: give the place back. Cannot fail. */
  abort(): void
}

/** What makes a mapped format writable. @public */
export interface MappedWriting {
  /** The unit of allocation, in bytes. A block, at a multiple of it, is mapped as a whole: one kind, one place. */
  readonly blockSize: number
  /**
   * Reserves a place for the block at guest offset `start`, which is not `data` now. Called for one block by one
   * request at a time, for different blocks by many.
   */
  allocate(start: number): Promise<Allocation>
  /** As in the contract's `WriteFacet`: metadata, and for `stable` the children. */
  flush(scope: FlushScope): Promise<void>
}

/** A format whose whole run time is a map from guest to host ranges. @public */
export interface MappedFormatInit {
  /** Where the data lies. */
  readonly file: ChildHandle
  /** Where absent bytes are read from; left out, they are zeroes. */
  readonly backing?: ChildSlot
  /** Virtual size in bytes, now. */
  size(): number
  /**
   * Where the bytes from `offset` on lie. Answer at once (no promise) if the table is in memory. `bytes` is what is
   * asked, at least 1. A place that was named stays what it is as long as requests use it.
   */
  map(offset: number, bytes: number): Mapping | Promise<Mapping>
  /** Left out: the format is read-only. */
  readonly writing?: MappedWriting
}

/**
 * The mapping at `offset`, cut to what was asked. A promise only if the format needs one.
 *
 * @internal
 */
export function mappingAt(init: MappedFormatInit, offset: number, bytes: number): Mapping | Promise<Mapping> {
  const mapping = init.map(offset, bytes)
  return mapping instanceof Promise ? mapping.then((found) => cut(found, offset, bytes)) : cut(mapping, offset, bytes)
}

function cut(mapping: Mapping, offset: number, bytes: number): Mapping {
  // A walk over a map that says nothing would never end.
  if (!(mapping.bytes >= 1)) throw new BlockError('corrupt', `The map of the image has no entry for offset ${offset}`, { errno: 'EIO' })
  return mapping.bytes <= bytes ? mapping : { ...mapping, bytes }
}

/**
 * Whether `next`, which starts where `before` ends, goes on in the same way, so that both are one.
 *
 * @internal
 */
export function continues(before: Mapping, next: Mapping): boolean {
  if (before.kind === 'absent' || next.kind === 'absent') return before.kind === next.kind
  if (before.kind !== next.kind) return false
  return before.host === undefined ? next.host === undefined : next.host === before.host + before.bytes
}
