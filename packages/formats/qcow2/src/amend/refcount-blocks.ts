import { hex } from '../corruption.ts'
import { viewOf } from '../on-disk/integers.ts'
import type { Qcow2Writer } from '../writer.ts'

/**
 * The refcount blocks as they are on disk, by their entries in the table; no two entries can have the same. The last one
 * read is kept. For those who have the image for themselves, with all refcounts on disk.
 *
 * @internal
 */
export class RefcountBlocks {
  readonly #writer: Qcow2Writer
  /** Host offsets of those that were read. */
  readonly #seen = new Map<number, number>()
  #index = -1
  #block: DataView | null = null

  constructor(writer: Qcow2Writer) {
    this.#writer = writer
  }

  /** Entries of the table. */
  get length(): number {
    return this.#writer.refcounts.tableEntries
  }

  /** The block of table entry `index`; null if there is none. @throws BlockError `corrupt` if it cannot be where it should be */
  async read(index: number): Promise<DataView | null> {
    if (index === this.#index) return this.#block
    const { image, refcounts } = this.#writer
    const offset = refcounts.blockOffset(index)
    let block: DataView | null = null
    if (offset !== 0) {
      // Otherwise a small file could keep us busy for ever.
      const owner = this.#seen.get(offset) ?? index
      if (owner !== index || offset >= (await image.file.size())) {
        throw image.corruption.found(`Refblock offset ${hex(offset)} cannot be (reftable index: ${hex(index)})`)
      }
      this.#seen.set(offset, index)
      const bytes = new Uint8Array(image.clusterSize)
      await image.file.read(offset, bytes)
      block = viewOf(bytes)
    }
    this.#index = index
    this.#block = block
    return block
  }
}
