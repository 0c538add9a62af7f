import type { FlushScope } from '../child.ts'

/** Writing. An instance without it is read-only. @public */
export interface WriteFacet {
  /**
   * Flags of {@link RequestFlag} that `write` and `zero` do natively; the core emulates and strips all others. Default 0.
   * `MAY_UNMAP` and `NO_FALLBACK` are for `zero` alone and always reach it.
   */
  readonly honours?: number
  /**
   * Stores `from` at `offset`. Many are in flight, overlapping ones in no defined order. After a failure the
   * image is as valid as before; the range may hold old or new bytes.
   */
  write(offset: number, from: Uint8Array, flags: number): Promise<void>
  /**
   * `host`: cached metadata is handed to the child. `stable`: also everything acknowledged before the call is
   * on stable storage; the driver flushes its children itself.
   */
  flush(scope: FlushScope): Promise<void>
}

/** Answer of an optional operation: `unsupported` makes the core fall back. @public */
export type Attempt = 'done' | 'unsupported'
