import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as kit from '../../src/index.ts'

const pairs = [
  ['U16BE', 2, 0xffff, kit.readU16BE, kit.writeU16BE],
  ['U16LE', 2, 0xffff, kit.readU16LE, kit.writeU16LE],
  ['U32BE', 4, 0xffffffff, kit.readU32BE, kit.writeU32BE],
  ['U32LE', 4, 0xffffffff, kit.readU32LE, kit.writeU32LE],
  ['U64BE', 8, Number.MAX_SAFE_INTEGER, kit.readU64BE, kit.writeU64BE],
  ['U64LE', 8, Number.MAX_SAFE_INTEGER, kit.readU64LE, kit.writeU64LE],
] as const

describe.each(pairs)('%s', (name, bytes, max, read, write) => {
  it('stores and reads every value, as a DataView does', () => {
    fc.assert(
      fc.property(fc.nat(5), fc.oneof(fc.maxSafeNat(), fc.constantFrom(0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, max)), (at, any) => {
        const value = any % (max === Number.MAX_SAFE_INTEGER ? Infinity : max + 1)
        const buffer = new Uint8Array(at + bytes + 1).fill(0xaa)
        write(buffer, at, value)
        expect(read(buffer, at, 'x')).toBe(value)
        const view = new DataView(buffer.buffer)
        const little = name.endsWith('LE')
        expect(Number(bytes === 2 ? view.getUint16(at, little) : bytes === 4 ? view.getUint32(at, little) : view.getBigUint64(at, little))).toBe(value)
        expect(buffer[at + bytes]).toBe(0xaa)
      }),
    )
  })
})

describe('64-bit fields', () => {
  it('refuse what a number cannot hold, naming the field', () => {
    const bytes = Uint8Array.of(0, 0x20, 0, 0, 0, 0, 0, 1)
    expect(() => kit.readU64BE(bytes, 0, 'header.size')).toThrow(
      expect.objectContaining({ code: 'range', errno: 'EFBIG', message: 'header.size is too large: 0x0020000000000001', detail: { field: 'header.size', value: '0x0020000000000001' } }),
    )
    expect(() => kit.readU64LE(bytes.toReversed(), 0, 'f')).toThrow('f is too large: 0x0020000000000001')
    expect(() => kit.readU64BE(new Uint8Array(8).fill(0xff), 0, 'f')).toThrow('0xffffffffffffffff')
  })
})

describe('alignment', () => {
  it('rounds up and down, also above 2^32 and to odd units', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.constantFrom(1, 2, 3, 512, 65536, 2 ** 21, 2 ** 33), (any, unit) => {
        const value = Math.min(any, Number.MAX_SAFE_INTEGER - 2 ** 33)
        expect(kit.alignDown(value, unit)).toBe(Number((BigInt(value) / BigInt(unit)) * BigInt(unit)))
        expect(kit.alignUp(value, unit)).toBe(Number(((BigInt(value) + BigInt(unit) - 1n) / BigInt(unit)) * BigInt(unit)))
      }),
    )
  })

  it('knows the powers of two', () => {
    for (let i = 0; i <= 52; i++) {
      expect(kit.isPowerOfTwo(2 ** i)).toBe(true)
      if (i > 1) expect([kit.isPowerOfTwo(2 ** i + 1), kit.isPowerOfTwo(2 ** i - 1)]).toEqual([false, false])
    }
    for (const no of [0, -1, -2, 0.5, 3, 2 ** 40 + 2 ** 8, 3 * 2 ** 33, NaN, Infinity, 2 ** 60]) expect(kit.isPowerOfTwo(no), `${no}`).toBe(false)
  })
})
