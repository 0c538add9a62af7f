import { BlockError, type BitmapFacet, type StoredBitmap } from '@blockloom/block-driver'
import { HBitmap } from '@blockloom/hbitmap'
import { inContext } from './bitmap-rules.ts'
import type { DirtyBitmap } from './dirty-bitmap.ts'
import { loadPart, serialisedPart } from './stored-bits.ts'

/** Serialised bits that are loaded for one node, together; an image chooses number and size of its bitmaps. */
const MOST_LOADED_BYTES = 2 ** 30

/** The bitmaps in the image of a node, if it can have any. @internal */
export class StoredBitmaps {
  readonly #node: string
  readonly #facet: BitmapFacet | undefined
  #loadedBytes = 0

  /** @param node - its name, for messages */
  constructor(node: string, facet: BitmapFacet | undefined) {
    this.#node = node
    this.#facet = facet
  }

  get list(): readonly StoredBitmap[] {
    return this.#facet?.list() ?? []
  }

  find(name: string): StoredBitmap | undefined {
    return this.list.find((stored) => stored.name === name)
  }

  /** The image is open so that bitmaps can be stored. */
  get writable(): boolean {
    return this.#facet?.store !== undefined
  }

  /** @throws BlockError in the reference's words, if a new bitmap could not be stored */
  assertStorable(name: string, granularity: number): void {
    this.#facet?.assertStorable?.({ name, granularity })
    if (this.writable) return
    throw new BlockError('unsupported', `Can't store persistent bitmaps to ${this.#node}: Operation not supported`, { detail: { node: this.#node } })
  }

  /** Its contents, for a disk of `size` bytes. */
  async read({ name, granularity }: DirtyBitmap, size: number): Promise<HBitmap> {
    const bits = new HBitmap({ size, granularity })
    await this.#facet!.load(name, (offset, data) => {
      this.#loadedBytes += data.length
      if (this.#loadedBytes > MOST_LOADED_BYTES) {
        throw new BlockError('unsupported', `The bitmaps of '${this.#node}' are larger than ${MOST_LOADED_BYTES} bytes`, { detail: { bitmap: name } })
      }
      loadPart(bits, offset, data)
    })
    return bits
  }

  /** Stores all of them in one step. Nothing may change them meanwhile. */
  async store(bitmaps: readonly DirtyBitmap[]): Promise<void> {
    const contents = bitmaps.map((bitmap) => {
      const bits = bitmap.snapshot()
      return {
        name: bitmap.name,
        granularity: bitmap.granularity,
        auto: bitmap.enabled,
        bits: (offset: number, bytes: number) => serialisedPart(bits, offset, bytes),
      }
    })
    try {
      await this.#facet!.store!(contents)
    } catch (error) {
      throw inContext(`Lost persistent bitmaps during inactivation of node '${this.#node}'`, error)
    }
    for (const bitmap of bitmaps) bitmap.markStored()
  }

  async remove(name: string): Promise<void> {
    await this.#facet!.remove!(name)
  }
}
