import { BlockError } from '@blockloom/block-driver'
import type { DirtyArea, DirtyAreasOptions, HBitmap } from '@blockloom/hbitmap'

/**
 * What a {@link DirtyBitmap} held when an operation froze it. Exactly one of {@link FrozenBits.drop} and
 * {@link FrozenBits.restore} ends it.
 *
 * @public
 */
export class FrozenBits {
  readonly #bits: HBitmap
  #thaw: ((restore: boolean) => void) | null

  /** @internal */
  constructor(bits: HBitmap, thaw: (restore: boolean) => void) {
    this.#bits = bits
    this.#thaw = thaw
  }

  /** Dirty bytes. */
  get dirtyBytes(): number {
    return this.#bits.dirtyBytes
  }

  /** The first dirty bytes in `start` … `end`, at most `maxBytes`, or null. */
  nextDirtyArea(start: number, end?: number, maxBytes?: number): DirtyArea | null {
    return this.#bits.nextDirtyArea(start, end, maxBytes)
  }

  /** The dirty areas in ascending order. */
  dirtyAreas(options?: DirtyAreasOptions): Generator<DirtyArea, void, void> {
    return this.#bits.dirtyAreas(options)
  }

  /** The operation is done: these bits are forgotten, and the bitmap is what was recorded since. */
  drop(): void {
    this.#end(false)
  }

  /** The operation failed: the bitmap is as if it had never begun. */
  restore(): void {
    this.#end(true)
  }

  #end(restore: boolean): void {
    if (this.#thaw === null) throw new BlockError('invalid', 'These bits were dropped or restored before')
    this.#thaw(restore)
    this.#thaw = null
  }
}
