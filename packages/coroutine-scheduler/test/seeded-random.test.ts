import { describe, expect, it } from 'vitest'
import { createRandom } from '../src/index.ts'

describe('createRandom', () => {
  it('gives the same sequence for the same seed, now and in later versions', () => {
    const random = createRandom(42)
    const first = Array.from({ length: 5 }, () => random.next())
    const again = createRandom(42)
    expect(Array.from({ length: 5 }, () => again.next())).toEqual(first)
    expect(first).toMatchInlineSnapshot(`
      [
        4161994168,
        73802819,
        1314167891,
        931844148,
        1461369555,
      ]
    `)
  })

  it('gives different sequences for seeds that differ only in high bits, or in sign', () => {
    const draws = [1, 1 + 2 ** 32, 1 + 2 ** 45, 2 ** 32 - 1, -1, 0, 2].map((seed) => createRandom(seed).next())
    expect(new Set(draws).size).toBe(draws.length)
  })

  it('stays in range and reaches both ends', () => {
    const random = createRandom(3)
    const seen = new Set<number>()
    for (let i = 0; i < 2000; i++) {
      const integer = random.next()
      expect(Number.isInteger(integer) && integer >= 0 && integer < 2 ** 32).toBe(true)
      const float = random.float()
      expect(float >= 0 && float < 1).toBe(true)
      expect(Number.isSafeInteger(random.below(Number.MAX_SAFE_INTEGER))).toBe(true)
      seen.add(random.between(-2, 2))
    }
    expect([...seen].sort((a, b) => a - b)).toEqual([-2, -1, 0, 1, 2])
    expect(random.chance(0)).toBe(false)
    expect(random.chance(1)).toBe(true)
  })

  it('is roughly uniform', () => {
    const random = createRandom(9)
    const buckets = new Array<number>(16).fill(0)
    for (let i = 0; i < 160_000; i++) buckets[random.below(16)]!++
    for (const count of buckets) expect(Math.abs(count - 10_000)).toBeLessThan(600)
  })

  it('shuffles without losing anything, picks members, forks independently', () => {
    const random = createRandom(11)
    const items = Array.from({ length: 50 }, (_, i) => i)
    const shuffled = random.shuffle([...items])
    expect(shuffled).not.toEqual(items)
    expect(shuffled.sort((a, b) => a - b)).toEqual(items)
    expect(items).toContain(random.pick(items))
    expect(random.fork().next()).not.toBe(random.fork().next())
  })

  it('refuses what is not a seed or a bound', () => {
    expect(() => createRandom(0.5)).toThrow(RangeError)
    expect(() => createRandom(Number.NaN)).toThrow(RangeError)
    const random = createRandom(1)
    for (const bound of [0, -1, 1.5, Number.NaN, Infinity]) expect(() => random.below(bound)).toThrow(RangeError)
    expect(() => random.pick([])).toThrow(RangeError)
  })
})
