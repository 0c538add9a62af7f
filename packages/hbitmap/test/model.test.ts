import { describe, expect, it } from 'vitest'
import { HBitmap } from '../src/index.ts'
import { IntervalModel } from './interval-model.ts'
import { pickSeed, type Random, seeded } from './seeded.ts'

interface Domain {
  readonly name: string
  readonly size: number
  readonly granularity: number
  readonly steps: number
}

const DOMAINS: readonly Domain[] = [
  { name: 'one word', size: 20 * 512 + 7, granularity: 512, steps: 400 },
  { name: 'one leaf, byte granularity', size: 32768, granularity: 1, steps: 400 },
  { name: 'some leaves and a partial granule', size: 100_000 * 4096 + 100, granularity: 4096, steps: 600 },
  { name: '16 TiB at 64 KiB', size: 16 * 2 ** 40, granularity: 65536, steps: 600 },
  { name: '8 PiB at 64 KiB', size: Number.MAX_SAFE_INTEGER, granularity: 65536, steps: 600 },
  { name: '8 PiB at 1 byte', size: Number.MAX_SAFE_INTEGER, granularity: 1, steps: 600 },
  { name: '2 GiB granules', size: 2 ** 50 + 12345, granularity: 2 ** 31, steps: 300 },
]

const granules = (domain: Domain): number => Math.ceil(domain.size / domain.granularity)

/** A granule: often near another one, near a boundary of words or nodes, or near the end, to make things meet. */
function pickGranule(random: Random, domain: Domain, anchors: readonly number[]): number {
  const length = granules(domain)
  const near = (at: number): number => Math.min(Math.max(at + random.below(81) - 40, 0), length)
  switch (random.below(4)) {
    case 0:
      return random.below(length + 1)
    case 1:
      return near(Math.min(length, random.below(5) * 2 ** (5 * (1 + random.below(9)))))
    case 2:
      return near(length)
    default:
      return near(anchors[random.below(anchors.length)])
  }
}

function pickRange(random: Random, domain: Domain, anchors: readonly number[]): [number, number] {
  const a = pickGranule(random, domain, anchors)
  const b = random.chance(0.7)
    ? Math.min(a + random.below(200), granules(domain))
    : pickGranule(random, domain, anchors)
  return a <= b ? [a, b] : [b, a]
}

const clip = (domain: Domain, granule: number): number => Math.min(granule * domain.granularity, domain.size)

describe.each(DOMAINS)('random operations against the model: $name', (domain) => {
  it('sets, resets, counts and finds', () => {
    const seed = pickSeed()
    const random = seeded(seed)
    const bitmap = new HBitmap(domain)
    const model = new IntervalModel()
    const length = granules(domain)
    const anchors = [0, Math.floor(length / 2), length, random.below(length)]
    for (let step = 0; step < domain.steps; step++) {
      const label = `BLOCKLOOM_SEED=${seed} step ${step}`
      const [from, to] = pickRange(random, domain, anchors)
      const offset = clip(domain, from)
      const bytes = clip(domain, to) - offset
      const what = random.below(20)
      if (what < 10) {
        bitmap.set(offset, bytes)
        model.set(from, to)
      } else if (what < 19) {
        bitmap.reset(offset, bytes)
        model.reset(from, to)
      } else if (random.chance(0.5)) {
        bitmap.clear()
        model.reset(0, length)
      } else {
        bitmap.setAll()
        model.set(0, length)
      }
      expect(bitmap.count, label).toBe(model.count)
      expect(bitmap.isEmpty, label).toBe(model.count === 0)
      for (let probe = 0; probe < 4; probe++) {
        const at = Math.min(pickGranule(random, domain, [...anchors, from, to]), length - 1)
        const byte = Math.min(clip(domain, at) + random.below(domain.granularity), domain.size - 1)
        expect(bitmap.get(byte), label).toBe(model.has(at))
        const set = model.nextSet(at)
        const dirty = set === null ? null : Math.max(byte, clip(domain, set))
        expect(bitmap.nextDirty(byte), label).toBe(dirty)
        const unset = model.nextUnset(at, length)
        expect(bitmap.nextZero(byte), label).toBe(unset === null ? null : Math.max(byte, clip(domain, unset)))
        const area = bitmap.nextDirtyArea(byte)
        if (set === null || dirty === null) {
          expect(area, label).toBeNull()
        } else {
          const end = clip(domain, model.nextUnset(set, length) ?? length)
          expect(area, label).toEqual({ offset: dirty, bytes: end - dirty })
          const short = bitmap.nextDirtyArea(byte, dirty + 1)
          expect(short, label).toEqual({ offset: dirty, bytes: 1 })
          expect(bitmap.nextDirtyArea(byte, dirty), label).toBeNull()
        }
      }
    }
    const areas = [...bitmap.dirtyAreas()].map((area) => [area.offset, area.offset + area.bytes])
    expect(areas, `BLOCKLOOM_SEED=${seed}`).toEqual(
      model.intervals.map(([from, to]) => [clip(domain, from), clip(domain, to)]),
    )
    expect(bitmap.dirtyBytes, `BLOCKLOOM_SEED=${seed}`).toBe(areas.reduce((sum, [a, b]) => sum + (b - a), 0))
  })

  it('copies, merges and changes size', () => {
    const seed = pickSeed()
    const random = seeded(seed)
    for (let round = 0; round < 25; round++) {
      const label = `BLOCKLOOM_SEED=${seed} round ${round}`
      const length = granules(domain)
      const anchors = [0, length, random.below(length)]
      const make = (): [HBitmap, IntervalModel] => {
        const bitmap = new HBitmap(domain)
        const model = new IntervalModel()
        for (let i = random.below(8); i > 0; i--) {
          const [from, to] = pickRange(random, domain, anchors)
          bitmap.set(clip(domain, from), clip(domain, to) - clip(domain, from))
          model.set(from, to)
        }
        return [bitmap, model]
      }
      const list = (bitmap: HBitmap): number[][] => [...bitmap.dirtyAreas()].map((a) => [a.offset, a.offset + a.bytes])
      const [a, modelA] = make()
      const [b, modelB] = make()
      const before = list(b)
      const copy = a.copy()
      a.merge(b)
      for (const [from, to] of modelB.intervals) modelA.set(from, to)
      const merged = modelA.intervals.map(([from, to]) => [clip(domain, from), clip(domain, to)])
      expect(list(a), label).toEqual(merged)
      expect(a.count, label).toBe(modelA.count)
      expect(list(b), label).toEqual(before)
      // Nothing is shared: wiping the copy and the sum leaves the others alone.
      copy.merge(b)
      expect(list(copy), label).toEqual(merged)
      copy.reset(0, domain.size)
      expect(list(a), label).toEqual(merged)
      expect(list(b), label).toEqual(before)

      const cut = pickGranule(random, domain, anchors)
      const size = clip(domain, cut)
      a.truncate(size)
      modelA.reset(cut, length)
      expect(a.size, label).toBe(size)
      expect(a.count, label).toBe(modelA.count)
      a.truncate(domain.size)
      expect(a.count, label).toBe(modelA.count)
      expect(list(a), label).toEqual(modelA.intervals.map(([from, to]) => [clip(domain, from), clip(domain, to)]))
      const [from, to] = pickRange(random, domain, anchors)
      a.set(clip(domain, from), clip(domain, to) - clip(domain, from))
      modelA.set(from, to)
      expect(a.count, label).toBe(modelA.count)
    }
  })
})
