import type { Act } from './acts.ts'
import type { Change } from './operations.ts'

interface Bitmap {
  readonly granularity: number
  enabled: boolean
  /** Dirty granules. */
  readonly dirty: Set<number>
}

/** What the dirty bitmaps of one layer should say. */
export class BitmapModel {
  readonly #bitmaps = new Map<string, Bitmap>()

  get names(): readonly string[] {
    return [...this.#bitmaps.keys()]
  }

  granularity(name: string): number {
    return this.#bitmaps.get(name)!.granularity
  }

  /** The dirty granules of a bitmap, ascending. */
  dirty(name: string): readonly number[] {
    return [...this.#bitmaps.get(name)!.dirty].sort((a, b) => a - b)
  }

  act(act: Act): void {
    if (act.kind !== 'bitmap') return
    const { action, name, granularity } = act
    if (action === 'add') this.#bitmaps.set(name, { granularity, enabled: true, dirty: new Set() })
    else if (action === 'remove') this.#bitmaps.delete(name)
    else if (action === 'clear') this.#bitmaps.get(name)!.dirty.clear()
    else this.#bitmaps.get(name)!.enabled = action === 'enable'
  }

  apply(change: Change): void {
    for (const { granularity, enabled, dirty } of this.#bitmaps.values()) {
      if (change.kind === 'resize') {
        for (const granule of dirty) if (granule * granularity >= change.size) dirty.delete(granule)
      } else if (enabled) {
        for (let granule = Math.floor(change.offset / granularity); granule * granularity < change.offset + change.bytes; granule++) dirty.add(granule)
      }
    }
  }
}
