import { isBlockError } from '@blockloom/block-driver'
import { describe, expect, it } from 'vitest'
import * as integers from '../../src/on-disk/integers.ts'

const view = new DataView(new ArrayBuffer(16))

describe('64-bit fields', () => {
  it('reads and writes every safe integer exactly', () => {
    for (const value of [0, 1, 2 ** 32 - 1, 2 ** 32, 2 ** 33 + 7, Number.MAX_SAFE_INTEGER]) {
      integers.writeU64(view, 8, value, 'field')
      expect(view.getBigUint64(8)).toBe(BigInt(value))
      expect(integers.readU64(view, 8, 'field')).toBe(value)
      expect(integers.readU64Rounded(view, 8)).toBe(value)
      expect(integers.joinHalves(integers.highHalf(value), integers.lowHalf(value))).toBe(value)
    }
  })

  it('refuses larger ones by name, and never rounds them into range', () => {
    for (const value of [2n ** 53n, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n - 1n]) {
      view.setBigUint64(0, value)
      expect(() => integers.readU64(view, 0, 'l1_table_offset')).toThrow('l1_table_offset is larger than 2^53 - 1')
      expect(integers.readU64Rounded(view, 0)).toBeGreaterThan(Number.MAX_SAFE_INTEGER)
    }
  })

  it('refuses to write what is not an offset', () => {
    for (const value of [-1, 0.5, Number.NaN, Infinity, 2 ** 53]) {
      expect(() => integers.writeU64(view, 0, value, 'size')).toThrow(
        expect.toSatisfy((error) => isBlockError(error, 'invalid')),
      )
    }
    for (const value of [-1, 0.5, 2 ** 32]) {
      expect(() => integers.writeU32(view, 0, value, 'l1_size')).toThrow('l1_size')
    }
  })
})

describe('sets of flags', () => {
  it('has, drops and prints bits of both halves', () => {
    const bits = { hi: 0x8000_0001, lo: 0x8000_0001 }
    for (const bit of [0, 31, 32, 63]) {
      expect(integers.hasBit(bits, bit)).toBe(true)
      expect(integers.hasBit(integers.withoutBit(bits, bit), bit)).toBe(false)
    }
    expect(integers.hasBit(bits, 1)).toBe(false)
    expect([0, 31, 32, 63].reduce(integers.withoutBit, bits)).toEqual(integers.NO_BITS)
    expect(integers.hexOf(bits)).toBe('8000000180000001')
    expect(integers.hexOf({ hi: 1, lo: 0x20 })).toBe('100000020')
    expect(integers.hexOf({ hi: 0, lo: 0x20 })).toBe('20')
    expect(integers.isEmpty(integers.NO_BITS)).toBe(true)
    expect(integers.isEmpty({ hi: 1, lo: 0 })).toBe(false)
  })
})
