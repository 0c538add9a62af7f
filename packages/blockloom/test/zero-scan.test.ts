import { describe, expect, it } from 'vitest'
import { zeroRuns } from '../src/copy/zero-scan.ts'

const SEED = 20261123

function random(seed: number): () => number {
  let state = seed
  return () => (state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9 | 0) >>> 0
}

describe(`zeroRuns, seed ${SEED}`, () => {
  it('says of every unit whether all of it is zero, in runs as long as possible', () => {
    const next = random(SEED)
    for (let round = 0; round < 400; round++) {
      const granularity = 512 << (next() % 5)
      const origin = (next() % 64) * 512
      const bytes = new Uint8Array((next() % 40) * 512 + (next() % 2) * 100)
      // Few bytes, at the ends of units too: those are looked at first.
      for (let i = next() % 24; i > 0 && bytes.length > 0; i--) {
        const at = next() % bytes.length
        bytes[[at, at - (at % 512), Math.min(bytes.length - 1, at - (at % 512) + 511)][next() % 3]!] = 1 + (next() % 255)
      }

      const kinds: boolean[] = []
      let end = 0
      for (const { zero, from, to } of zeroRuns(bytes, origin, granularity)) {
        expect(from).toBe(end)
        expect(to).toBeGreaterThan(from)
        if (kinds.length > 0) expect(zero).toBe(!kinds.at(-1))
        kinds.push(zero)
        for (let at = from; at < to; ) {
          const unit = Math.min(bytes.length, at + granularity - ((origin + at) % granularity))
          expect(unit, 'a run ends inside a unit').toBeLessThanOrEqual(to)
          expect(bytes.subarray(at, unit).every((byte) => byte === 0), `round ${round}, ${at} to ${unit}`).toBe(zero)
          at = unit
        }
        end = to
      }
      expect(end).toBe(bytes.length)
    }
  })
})
