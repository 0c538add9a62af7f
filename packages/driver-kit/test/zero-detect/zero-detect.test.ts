import { describe, expect, it } from 'vitest'
import * as node from '../../src/zero-detect/zero-detect.node.ts'
import * as portable from '../../src/zero-detect/zero-detect.ts'
import { generator } from '../codecs/samples.ts'

describe.each([['node', node], ['portable', portable]])('%s', (_name, { isZero, zeroRuns }) => {
  it('sees a single byte at every place of every view', () => {
    const buffer = new Uint8Array(1200)
    for (const length of [1, 2, 3, 4, 5, 7, 8, 63, 64, 65, 130, 511, 512, 513, 1100]) {
      for (let start = 0; start < 9; start++) {
        const view = buffer.subarray(start, start + length)
        expect(isZero(view)).toBe(true)
        for (let at = 0; at < length; at++) {
          view[at] = at % 2 === 0 ? 0x80 : 1
          expect(isZero(view), `${length} bytes from ${start}, one at ${at}`).toBe(false)
          view[at] = 0
        }
        // What lies around does not matter.
        if (start > 0) buffer[start - 1] = 1
        buffer[start + length] = 1
        expect(isZero(view)).toBe(true)
        buffer.fill(0)
      }
    }
  })

  it('sees a single byte in long buffers', () => {
    for (const length of [65535, 65536, 65537, 131072, 200_001]) {
      const bytes = new Uint8Array(length)
      expect(isZero(bytes)).toBe(true)
      for (const at of [0, 1, 4095, 65534, 65535, 65536, 131071, 131072, length - 2, length - 1].filter((place) => place >= 0 && place < length)) {
        bytes[at] = 1
        expect(isZero(bytes), `${length}, ${at}`).toBe(false)
        bytes[at] = 0
      }
    }
  })

  it('of nothing is zero; negative zero is not', () => {
    expect(isZero(new Uint8Array(0))).toBe(true)
    expect(isZero(new Uint8Array(Float64Array.of(0, -0, 0).buffer))).toBe(false)
  })

  it('splits into runs that match a granule by granule model', () => {
    const seed = Math.floor(Math.random() * 2 ** 31)
    const random = generator(seed)
    for (let round = 0; round < 300; round++) {
      const granularity = [1, 3, 16, 512][round % 4]!
      const bytes = new Uint8Array(Math.floor(random() * granularity * 12))
      const offset = Math.floor(random() * 1000)
      for (let i = 0; i < bytes.length; i++) if (random() < 0.6 / granularity) bytes[i] = 1
      const runs: (readonly [number, number, boolean])[] = []
      zeroRuns(bytes, granularity, (...run) => runs.push(run), offset)
      const note = `seed ${seed} round ${round}`
      let next = 0
      for (const [i, [at, length, zero]] of runs.entries()) {
        expect(at, note).toBe(next)
        expect(length, note).toBeGreaterThan(0)
        next += length
        if (i > 0) {
          expect(zero, note).toBe(!runs[i - 1]![2])
          expect((offset + at) % granularity, note).toBe(0)
        }
        for (let granule = offset + at - ((offset + at) % granularity); granule < offset + next; granule += granularity) {
          const inside = bytes.subarray(Math.max(0, granule - offset), granule + granularity - offset)
          expect(inside.every((byte) => byte === 0), note).toBe(zero)
        }
      }
      expect(next, note).toBe(bytes.length)
    }
  })
})
