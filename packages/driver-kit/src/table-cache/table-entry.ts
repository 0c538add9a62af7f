/** Who goes over the entries, and leaves out those that were looked at since the last time. @internal */
export const UNSEEN = { BY_EVICTION: 1, BY_CLEANING: 2, BY_ALL: 3 } as const

/**
 * One table, or one slice of a table, in a {@link TableCache}.
 *
 * The holder may change `bytes` synchronously after `peek`, or at any time while it holds a pin, and reports every
 * change with `markDirty` before the next await.
 *
 * @public
 */
export class TableEntry {
  /** Where it lies in the child. */
  readonly offset: number
  /** Empty once the cache has let go of it. */
  readonly bytes: Uint8Array<ArrayBuffer>
  /** A view of exactly `bytes`, for big- and little-endian fields. */
  readonly view: DataView
  /** Holders that must not lose it. @internal */
  pins = 0
  /** By whom it has not been seen since it was last looked at: a mask of {@link UNSEEN}. @internal */
  unseen: number = UNSEEN.BY_ALL
  /** Copies of it that are being written: the child does not have them yet. @internal */
  writing = 0
  /** The bytes that changed since the last copy: from … to. Clean if `dirtyFrom >= dirtyTo`. @internal */
  dirtyFrom: number
  /** @internal */
  dirtyTo = 0
  /** Dropped from the cache while somebody held it: it must not be written any more. @internal */
  dropped = false

  constructor(offset: number, bytes: Uint8Array<ArrayBuffer>) {
    this.offset = offset
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.dirtyFrom = bytes.length
  }

  /** It has changes that no copy for the child has. */
  get dirty(): boolean {
    return this.dirtyFrom < this.dirtyTo
  }
}
