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

/** Persistent dirty bitmaps. Members that change are absent on a read-only instance. @public */
export interface BitmapFacet {
  list(): readonly StoredBitmap[]
  /** Reads the serialised bits (little endian, one bit per granule) in chunks. */
  load(name: string, chunk: (offset: number, bits: Uint8Array) => void): Promise<void>
  readonly store?: (bitmap: StoredBitmap, bits: (offset: number, bytes: number) => Uint8Array) => Promise<void>
  readonly remove?: (name: string) => Promise<void>
}
