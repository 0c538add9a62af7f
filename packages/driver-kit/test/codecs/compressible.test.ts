import zlib from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { isCompressible } from '../../src/codecs/compressible.ts'

const seed = Number(process.env['BLOCKLOOM_SEED'] ?? Math.floor(Math.random() * 1e9))
let state = seed
const random = (): number => {
  state = (state + 0x6d2b79f5) | 0
  let t = Math.imul(state ^ (state >>> 15), 1 | state)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296
}
const noise = (length: number) => Uint8Array.from({ length }, () => Math.floor(random() * 256))
const filled = (length: number, from: (i: number) => number) => Uint8Array.from({ length }, (_, i) => from(i))

describe(`isCompressible, seed ${seed}`, () => {
  test.each([16384, 65536, 100_001, 2 << 20])('noise of %i bytes is not', (length) => {
    for (let i = 0; i < 5; i++) expect(isCompressible(noise(length))).toBe(false)
  })

  test('small data is always tried', () => {
    expect(isCompressible(noise(4096))).toBe(true)
  })

  test.each<[string, (length: number) => Uint8Array]>([
    ['zeroes', (n) => new Uint8Array(n)],
    ['text', (n) => filled(n, (i) => 97 + ((i * i) % 23))],
    ['base64', (n) => filled(n, () => 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'.charCodeAt(Math.floor(random() * 64)))],
    ['a repeated block of noise', (n) => { const block = noise(512); return filled(n, (i) => block[i % 512]!) }],
    ['a table of 32-bit numbers', (n) => filled(n, (i) => (i % 4 === 0 ? Math.floor(random() * 256) : i % 4 === 1 ? Math.floor(random() * 8) : 0))],
    ['every byte value in turn', (n) => filled(n, (i) => i % 256)],
    ['noise with a third of text', (n) => { const all = noise(n); all.fill(32, Math.floor(n / 3), Math.floor((2 * n) / 3)); return all }],
    ['noise with text at its end', (n) => { const all = noise(n); all.fill(65, Math.floor((3 * n) / 4)); return all }],
  ])('%s is', (_, make) => {
    for (const length of [16384, 65536, 1 << 20]) {
      const bytes = make(length)
      expect(zlib.deflateRawSync(bytes, { windowBits: 12 }).length).toBeLessThan(bytes.length * 0.95)
      expect(isCompressible(bytes)).toBe(true)
    }
  })
})
