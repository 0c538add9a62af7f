import { BlockError, type StoredBitmap } from '@blockloom/block-driver'
import type { BitmapEntry } from '../on-disk/bitmap-directory.ts'
import { printableName } from '../on-disk/names.ts'

/** A bitmap of the directory, and whether its contents can be trusted. @internal */
export interface ListedBitmap {
  /** As it is on disk now. */
  readonly entry: BitmapEntry
  /** It was in use by somebody else when the image was opened: what he changed of it is lost. */
  readonly inconsistent: boolean
}

/**
 * The bitmaps that are stored in an open image, in the order of the directory.
 *
 * @internal
 */
export class BitmapList {
  #listed: readonly ListedBitmap[] = []
  /** Why the bitmaps cannot be used; null if they can. Only of an image that is not open for writing. */
  broken: BlockError | null = null

  get listed(): readonly ListedBitmap[] {
    return this.#listed
  }

  get entries(): readonly BitmapEntry[] {
    return this.#listed.map(({ entry }) => entry)
  }

  /** The directory is another one now. */
  replace(listed: readonly ListedBitmap[]): void {
    this.#listed = listed
  }

  /** The directory on disk claims of some bitmap that its contents are right. */
  get trusted(): boolean {
    return this.#listed.some(({ entry }) => !entry.inUse)
  }

  /** What users are shown. @throws BlockError `corrupt` if the directory is broken */
  list(): readonly StoredBitmap[] {
    if (this.broken !== null) throw this.broken
    return this.#listed.map(({ entry, inconsistent }) => ({
      name: entry.name,
      granularity: 2 ** entry.granularityBits,
      auto: entry.auto,
      inconsistent,
    }))
  }

  /** @throws BlockError `not-found`; `corrupt` if the directory is broken */
  find(name: string): ListedBitmap {
    if (this.broken !== null) throw this.broken
    const found = this.#listed.find(({ entry }) => entry.name === name)
    if (found === undefined) throw new BlockError('not-found', `Dirty bitmap '${printableName(name)}' not found`, { detail: { bitmap: name } })
    return found
  }

  /** @throws BlockError `corrupt` if a bitmap is inconsistent, for what needs all of them: resizing */
  assertConsistent(): void {
    const bad = this.#listed.find(({ inconsistent }) => inconsistent)
    if (bad !== undefined) throw inconsistentBitmap(bad.entry.name)
  }
}

/** The reference's words. @internal */
export function inconsistentBitmap(name: string): BlockError {
  return new BlockError('corrupt', `Bitmap '${printableName(name)}' is inconsistent and cannot be used`, { detail: { bitmap: name } })
}
