/** What the request pipeline tells the dirty bitmaps of its node. @internal */
export interface WriteRecorder {
  /** A request that may have changed these bytes has ended, well or badly. */
  changed(offset: number, bytes: number): void
  /** Something else changed, or may have: metadata, a resize that failed. */
  touched(): void
  /** The disk has another size now. */
  resized(size: number): void
  /** @throws BlockError if a bitmap cannot follow a change of size */
  assertResizable(): void
}
