import { describe, expect, it } from 'vitest'
import { HBitmap } from '../src/index.ts'

const MIB = 2 ** 20

function marked(...offsets: number[]): HBitmap {
  const bitmap = new HBitmap({ size: 2 ** 44, granularity: MIB })
  for (const offset of offsets) bitmap.set(offset * MIB, MIB)
  return bitmap
}

const at = (bitmap: HBitmap, act: (offset: number) => void): number[] => {
  const seen: number[] = []
  for (const area of bitmap.dirtyAreas({ maxBytes: MIB })) {
    seen.push(area.offset / MIB)
    act(area.offset / MIB)
  }
  return seen
}

describe('iteration while the bitmap changes', () => {
  it('sees what is set ahead and not what is set behind', () => {
    const bitmap = marked(5, 100)
    expect(at(bitmap, (offset) => {
      if (offset === 5) bitmap.set(1 * MIB, MIB)
      if (offset === 5) bitmap.set(6 * MIB, MIB)
      if (offset === 100) bitmap.set(10_000_000 * MIB, MIB)
    })).toEqual([5, 6, 100, 10_000_000])
  })

  it('does not see what is reset ahead', () => {
    const bitmap = marked(5, 6, 100, 101)
    expect(at(bitmap, (offset) => {
      if (offset === 5) bitmap.reset(6 * MIB, 95 * MIB)
    })).toEqual([5, 101])
  })

  it('survives clearing, filling and shrinking', () => {
    const cleared = marked(1, 2, 3)
    expect(at(cleared, () => { cleared.clear() })).toEqual([1])
    const filled = marked(1)
    expect(at(filled, (offset) => {
      if (offset === 1) filled.setAll()
      if (offset === 3) filled.reset(4 * MIB, 2 ** 44 - 4 * MIB)
    })).toEqual([1, 2, 3])
    const shrunk = marked(1, 2, 3, 4)
    expect(at(shrunk, (offset) => { if (offset === 2) shrunk.truncate(2 * MIB) })).toEqual([1, 2])
  })

  it('a job that cleans what it copies meets every area once, and what is dirtied behind it in the next pass', () => {
    const bitmap = marked(0, 7, 70_000, 9_000_000)
    const copied: number[] = []
    let writes = 3
    while (!bitmap.isEmpty) {
      for (const area of bitmap.dirtyAreas({ maxBytes: 4 * MIB })) {
        bitmap.reset(area.offset, area.bytes)
        copied.push(area.offset / MIB)
        if (area.offset === 70_000 * MIB && writes-- > 0) bitmap.set(7 * MIB, 1)
        if (area.offset === 7 * MIB && writes > 0) bitmap.set(70_000 * MIB, 1)
      }
    }
    expect(copied).toEqual([0, 7, 70_000, 9_000_000, 7, 70_000, 7, 70_000, 7])
  })
})
