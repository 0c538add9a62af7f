import type { BitmapFacet } from '@blockloom/block-driver'
import type { DirtyBitmaps } from './dirty-bitmaps.ts'

/** The bitmaps of an image for a user who changes them there: those of the node follow. @internal */
export function syncedFacet(facet: BitmapFacet, bitmaps: DirtyBitmaps): BitmapFacet {
  const { store, remove } = facet
  return {
    ...facet,
    ...(store && {
      store: (contents) => {
        const names = contents.map(({ name }) => name)
        return bitmaps.reread(names, () => store(contents))
      },
    }),
    ...(remove && { remove: (name) => bitmaps.reread([name], () => remove(name)) }),
  }
}
