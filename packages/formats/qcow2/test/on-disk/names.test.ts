import { describe, expect, it } from 'vitest'
import { decodeName, decodeTerminatedName, encodeName, printableName } from '../../src/on-disk/names.ts'
import { forSeeds } from './seeded-random.ts'

describe('names', () => {
  it('are UTF-8, with a byte order mark kept', () => {
    for (const name of ['', 'plain', 'näme 日本 😀', '\ufeffmarked', 'a\0b']) {
      expect(decodeName(new TextEncoder().encode(name))).toBe(name)
      expect([...encodeName(name)]).toEqual([...new TextEncoder().encode(name)])
    }
  })

  it('survive being read and written, whatever bytes they are', () => {
    const hostile = [0x61, 0x80, 0xc0, 0xe2, 0x82, 0xed, 0xb2, 0xf0, 0x9f, 0x98, 0xff, 0]
    forSeeds(1, 500, (random) => {
      const bytes = Uint8Array.from({ length: random.below(12) }, () => random.pick(hostile))
      expect([...encodeName(decodeName(bytes))]).toEqual([...bytes])
    })
  })

  it('decode the valid parts around invalid bytes', () => {
    const bytes = new Uint8Array([0xff, ...new TextEncoder().encode('é😀'), 0xe2, 0x82])
    expect(decodeName(bytes)).toBe('\udcffé😀\udce2\udc82')
  })

  it('end at a NUL where the format says so', () => {
    expect(decodeTerminatedName(new Uint8Array([0x61, 0, 0x62]))).toBe('a')
    expect(decodeTerminatedName(new Uint8Array([0x61]))).toBe('a')
  })

  it('cannot drive a terminal', () => {
    expect(printableName('a\u001b[31m\n\u0085\udcff')).toBe('a?[31m??\ufffd')
  })
})
