/** How new space is reserved. @public */
export type Preallocation = 'off' | 'metadata' | 'falloc' | 'full'

/** @public */
export interface ResizeOptions {
  /** Default `off`. */
  readonly preallocation?: Preallocation
  /** New bytes must read as zeroes even if a backing file has data there. Default true. */
  readonly zeroFill?: boolean
}

/** Changing the size. @public */
export interface ResizeFacet {
  readonly preallocations: readonly Preallocation[]
  /** Sets the size in bytes. The core has checked permissions and drained requests past a new, smaller end. */
  resize(size: number, options: Required<ResizeOptions>): Promise<void>
}
