import { describe, expect, it } from 'vitest'
import { HBitmap } from '../src/index.ts'
import { pickSeed, seeded } from './seeded.ts'

describe('byte ranges that are not aligned', () => {
  it('agree with an array of booleans', () => {
    const seed = pickSeed()
    const random = seeded(seed)
    for (let round = 0; round < 60; round++) {
      const granularity = 2 ** random.below(5)
      const size = 1 + random.below(600)
      const length = Math.ceil(size / granularity)
      const bitmap = new HBitmap({ size, granularity })
      const model = new Array<boolean>(length).fill(false)
      for (let step = 0; step < 40; step++) {
        const label = `BLOCKLOOM_SEED=${seed} round ${round} step ${step}`
        const offset = random.below(size + 1)
        const bytes = random.below(size - offset + 1)
        const inside = (granule: number): boolean =>
          granule * granularity >= offset && Math.min((granule + 1) * granularity, size) <= offset + bytes
        const touched = (granule: number): boolean =>
          bytes > 0 && granule * granularity < offset + bytes && (granule + 1) * granularity > offset
        if (random.chance(0.5)) {
          bitmap.set(offset, bytes)
          model.forEach((_, i) => { if (touched(i)) model[i] = true })
        } else {
          bitmap.reset(offset, bytes)
          model.forEach((_, i) => { if (bytes > 0 && inside(i)) model[i] = false })
        }
        const byte = (at: number): boolean => model[Math.floor(at / granularity)]
        const bytesOf = Array.from({ length: size }, (_, at) => byte(at))
        expect(bitmap.dirtyBytes, label).toBe(bytesOf.filter(Boolean).length)
        expect(bitmap.count, label).toBe(model.filter(Boolean).length)
        const start = random.below(size + 1)
        const span = random.below(size - start + 10)
        const end = Math.min(start + span, size)
        const first = (wanted: boolean): number | null => {
          for (let at = start; at < end; at++) if (bytesOf[at] === wanted) return at
          return null
        }
        expect(bitmap.nextDirty(start, span), label).toBe(first(true))
        expect(bitmap.nextZero(start, span), label).toBe(first(false))
        const maxBytes = 1 + random.below(40)
        const at = first(true)
        if (at === null) {
          expect(bitmap.nextDirtyArea(start, start + span, maxBytes), label).toBeNull()
        } else {
          let stop = at
          while (stop < end && stop - at < maxBytes && bytesOf[stop]) stop++
          expect(bitmap.nextDirtyArea(start, start + span, maxBytes), label).toEqual({ offset: at, bytes: stop - at })
        }
        if (end > start) {
          let stop = start
          while (stop < end && bytesOf[stop] === bytesOf[start]) stop++
          expect(bitmap.status(start, end - start), label).toEqual({ dirty: bytesOf[start], bytes: stop - start })
        }
      }
    }
  })

  it('round outward when set and inward when reset', () => {
    const bitmap = new HBitmap({ size: 10_000, granularity: 1024 })
    bitmap.set(1023, 2)
    expect([...bitmap.dirtyAreas()]).toEqual([{ offset: 0, bytes: 2048 }])
    bitmap.reset(1, 2047)
    expect([...bitmap.dirtyAreas()]).toEqual([{ offset: 0, bytes: 1024 }])
    bitmap.set(9999, 1)
    expect(bitmap.dirtyBytes).toBe(1024 + (10_000 - 9 * 1024))
    bitmap.reset(9 * 1024, 10_000 - 9 * 1024 - 1)
    expect(bitmap.get(9999)).toBe(true)
    bitmap.reset(9 * 1024, 10_000 - 9 * 1024)
    expect(bitmap.get(9999)).toBe(false)
  })

  it('merges bitmaps of other granularities, rounding outward', () => {
    const fine = new HBitmap({ size: 1_000_000, granularity: 512 })
    const coarse = new HBitmap({ size: 1_000_000, granularity: 65536 })
    fine.set(70_000, 1)
    fine.set(999_999, 1)
    coarse.merge(fine)
    expect([...coarse.dirtyAreas()]).toEqual([
      { offset: 65536, bytes: 65536 },
      { offset: 15 * 65536, bytes: 1_000_000 - 15 * 65536 },
    ])
    const back = new HBitmap({ size: 1_000_000, granularity: 512 })
    back.merge(coarse)
    expect(back.dirtyBytes).toBe(coarse.dirtyBytes)
    expect(back.count).toBe(128 + Math.ceil((1_000_000 - 15 * 65536) / 512))
  })
})

describe('arguments that can not be', () => {
  const bitmap = new HBitmap({ size: 1000, granularity: 64 })
  it.each([
    ['granularity 0', () => new HBitmap({ size: 1, granularity: 0 }), /granularity/],
    ['granularity 3', () => new HBitmap({ size: 1, granularity: 3 }), /granularity/],
    ['granularity 2^32', () => new HBitmap({ size: 1, granularity: 2 ** 32 }), /granularity/],
    ['granularity NaN', () => new HBitmap({ size: 1, granularity: NaN }), /granularity/],
    ['granularity 0.5', () => new HBitmap({ size: 1, granularity: 0.5 }), /granularity/],
    ['size 2^53', () => new HBitmap({ size: 2 ** 53, granularity: 512 }), /size/],
    ['negative size', () => new HBitmap({ size: -1, granularity: 512 }), /size/],
    ['set beyond the end', () => { bitmap.set(999, 2) }, /beyond/],
    ['set at a negative offset', () => { bitmap.set(-1, 1) }, /offset/],
    ['set of half a byte', () => { bitmap.set(0, 0.5) }, /bytes/],
    ['reset beyond the end', () => { bitmap.reset(1001, 0) }, /beyond/],
    ['get at the end', () => bitmap.get(1000), /beyond/],
    ['search from NaN', () => bitmap.nextDirty(NaN), /offset/],
    ['areas of no bytes', () => bitmap.nextDirtyArea(0, 10, 0), /maxBytes/],
    ['merge of another size', () => { bitmap.merge(new HBitmap({ size: 999, granularity: 64 })) }, /merged/],
    ['truncate to 2^53', () => { bitmap.truncate(2 ** 53) }, /size/],
  ])('%s is a RangeError that says so', (_name, act, message) => {
    expect(act).toThrow(RangeError)
    expect(act).toThrow(message)
    expect(bitmap.size).toBe(1000)
    expect(bitmap.count).toBe(0)
  })

  it('accepts sizes of zero and ranges of zero', () => {
    const empty = new HBitmap({ size: 0, granularity: 2 ** 31 })
    empty.setAll()
    empty.set(0, 0)
    empty.reset(0, 0)
    expect([empty.count, empty.nextDirty(0), empty.nextZero(0), empty.nextDirtyArea(0)]).toEqual([0, null, null, null])
    expect(empty.serializePart(0, 0)).toEqual(new Uint8Array(0))
    empty.truncate(2 ** 40)
    empty.setAll()
    expect(empty.count).toBe(512)
    bitmap.set(500, 0)
    expect(bitmap.count).toBe(0)
  })
})
