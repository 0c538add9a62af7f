/** Writing compressed. @public */
export interface CompressFacet {
  /** Requests start at multiples of this and are this long, except at the end of the image. Bytes. */
  readonly granularity: number
  /**
   * Stores one cluster, compressed if that makes it smaller. Several run in parallel.
   * Refuses (`invalid`) what the format cannot rewrite compressed.
   */
  write(offset: number, from: Uint8Array): Promise<void>
}
