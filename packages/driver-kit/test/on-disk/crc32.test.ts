import zlib from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { crc32, crc32c } from '../../src/index.ts'
import { generator, randomBytes } from '../codecs/samples.ts'

const digits = new TextEncoder().encode('123456789')

describe('checksums', () => {
  it('give the published check values', () => {
    expect(crc32(digits)).toBe(0xcbf43926)
    expect(crc32c(digits)).toBe(0xe3069283)
    expect(crc32(new Uint8Array(0))).toBe(0)
    // RFC 3720, B.4.
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa)
    expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43)
    expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd794e)
  })

  it('agree with zlib at every length and start, and go on from a part', () => {
    const bytes = randomBytes(300, generator(11))
    for (let length = 0; length < 290; length++) {
      const part = bytes.subarray(length % 7, length % 7 + length)
      expect(crc32(part)).toBe(zlib.crc32(part))
      for (const sum of [crc32, crc32c]) expect(sum(part.subarray(5), sum(part.subarray(0, 5)))).toBe(sum(part))
    }
  })
})
