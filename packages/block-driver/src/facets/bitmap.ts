/** A dirty bitmap stored in the image. @public */
export interface StoredBitmap {
  readonly name: string
  /** Bytes per bit, a power of two. */
  readonly granularity: number
  /** Tracks writes after the image is opened. */
  readonly auto: boolean
  /** Not stored cleanly: its contents cannot be trusted. */
  readonly inconsistent: boolean
}

/** A bitmap and its contents, to be stored. @public */
export interface BitmapContent extends Omit<StoredBitmap, 'inconsistent'> {
  /**
   * The serialised bits: little endian, one bit per granule of the disk, from byte `offset` on. Called in ascending order;
   * `null`: these bytes are all zeroes.
   */
  bits(offset: number, bytes: number): Uint8Array | null
}

/**
 * Persistent dirty bitmaps. Members that change are absent on a read-only instance.
 *
 * The owner of the contents is the consumer, which tracks writes. Before the guest's disk first changes, the driver marks
 * all stored bitmaps on disk as not to be trusted (a crash leaves them inconsistent); storing them makes them good again.
 *
 * @public
 */
export interface BitmapFacet {
  /** As they were when the image was opened, or last stored or removed. */
  list(): readonly StoredBitmap[]
  /**
   * Reads the serialised bits (little endian, one bit per granule) in chunks, ascending; what is left out is zero.
   *
   * @throws BlockError `not-found`; `corrupt` for one that is inconsistent or damaged
   */
  load(name: string, chunk: (offset: number, bits: Uint8Array) => void): Promise<void>
  /** Adds bitmaps or replaces those of the same name, all in one step: a crash leaves all of them as before, or as now. */
  readonly store?: (bitmaps: readonly BitmapContent[]) => Promise<void>
  /** Removes one, also an inconsistent one. @throws BlockError `not-found` */
  readonly remove?: (name: string) => Promise<void>
  /** Checks name and granularity against the format's limits, and that one more bitmap fits. @throws BlockError `invalid` */
  readonly assertStorable?: (bitmap: Pick<StoredBitmap, 'name' | 'granularity'>) => void
}
