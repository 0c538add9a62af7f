import { describe, expect, it } from 'vitest'
import { HBitmap } from '../src/index.ts'
import { pickSeed, seeded } from './seeded.ts'

const areas = (bitmap: HBitmap): unknown[] => [...bitmap.dirtyAreas()]

describe('serialised parts', () => {
  it('have the layout of a qcow2 bitmap: one little-endian bit for each granule', () => {
    const bitmap = new HBitmap({ size: 70 * 512 + 1, granularity: 512 })
    bitmap.set(0, 1)
    bitmap.set(9 * 512, 512)
    bitmap.set(63 * 512, 2 * 512)
    bitmap.set(70 * 512, 1)
    expect(bitmap.serializationAlign).toBe(64 * 512)
    expect(bitmap.serializationSize(0, bitmap.size)).toBe(16)
    expect([...bitmap.serializePart(0, bitmap.size)]).toEqual([1, 2, 0, 0, 0, 0, 0, 0x80, 0x41, 0, 0, 0, 0, 0, 0, 0])
    expect([...bitmap.serializePart(64 * 512, 6 * 512 + 1)]).toEqual([0x41, 0, 0, 0, 0, 0, 0, 0])
  })

  it.each([
    ['some leaves', 100_003 * 512 - 5, 512],
    ['many nodes, far apart', 2 ** 45 + 4096, 65536],
  ])('rebuild the bitmap in parts of any aligned length: %s', (_name, size, granularity) => {
    const seed = pickSeed()
    const random = seeded(seed)
    for (let round = 0; round < 12; round++) {
      const label = `BLOCKLOOM_SEED=${seed} round ${round}`
      const bitmap = new HBitmap({ size, granularity })
      const middle = random.below(size)
      for (let i = 0; i < 30; i++) {
        const offset = random.chance(0.5) ? random.below(size) : Math.min(middle + random.below(10 ** 6), size - 1)
        bitmap.set(offset, Math.min(random.below(random.chance(0.1) ? size : 10 ** 6), size - offset))
        if (random.chance(0.4)) bitmap.reset(offset, random.below(size - offset))
      }
      const back = new HBitmap({ size, granularity })
      // What was there before must not show through.
      if (random.chance(0.5)) back.setAll()
      else back.set(random.below(size), 1)
      const align = bitmap.serializationAlign
      let at = 0
      while (at < size) {
        const bytes = Math.min(align * (1 + random.below(Math.ceil(size / align / 6))), size - at)
        if (bitmap.nextDirty(at, bytes) === null) {
          back.deserializeZeroes(at, bytes)
        } else if (bitmap.nextZero(at, bytes) === null) {
          back.deserializeOnes(at, bytes)
        } else {
          const step = Math.min(bytes, align * 4096)
          const data = bitmap.serializePart(at, step)
          const shifted = new Uint8Array(data.length + 3)
          shifted.set(data, 3)
          back.deserializePart(at, step, shifted.subarray(3))
          at += step
          continue
        }
        at += bytes
      }
      expect(back.count, label).toBe(bitmap.count)
      expect(areas(back), label).toEqual(areas(bitmap))
    }
  })

  it('agree bit by bit with get', () => {
    const seed = pickSeed()
    const random = seeded(seed)
    const size = 70_000
    const bitmap = new HBitmap({ size, granularity: 1 })
    for (let i = 0; i < 300; i++) bitmap.set(random.below(size - 50), random.below(50))
    bitmap.set(32768, 32768)
    const data = bitmap.serializePart(0, size)
    for (let at = 0; at < size; at++) {
      if (((data[at >>> 3] >>> (at & 7)) & 1) !== (bitmap.get(at) ? 1 : 0)) {
        expect.fail(`BLOCKLOOM_SEED=${seed} differs at ${at}`)
      }
    }
  })

  it('ignores bits beyond the size, so that a hostile tail marks nothing', () => {
    const bitmap = new HBitmap({ size: 5 * 512, granularity: 512 })
    bitmap.deserializePart(0, bitmap.size, new Uint8Array(8).fill(0xff))
    expect(bitmap.count).toBe(5)
    expect(bitmap.dirtyBytes).toBe(5 * 512)
    bitmap.truncate(100 * 512)
    expect(bitmap.count).toBe(5)
  })

  it('refuses parts that are not aligned, and data of another length', () => {
    const bitmap = new HBitmap({ size: 1000 * 512, granularity: 512 })
    bitmap.set(0, 512)
    const align = 64 * 512
    expect(() => bitmap.serializePart(512, align)).toThrow(RangeError)
    expect(() => bitmap.serializePart(0, align - 512)).toThrow(RangeError)
    expect(() => { bitmap.deserializeZeroes(0, 512) }).toThrow(RangeError)
    expect(() => { bitmap.deserializeOnes(align, 512) }).toThrow(RangeError)
    expect(() => { bitmap.deserializePart(0, align, new Uint8Array(7)) }).toThrow('data must be 8 bytes long, not 7')
    expect(() => { bitmap.deserializePart(0, align, new Uint8Array(16)) }).toThrow(RangeError)
    expect(bitmap.count).toBe(1)
  })
})
