import { describe, expect, it } from 'vitest'
import { fixedString, guid, rawBytes, struct, u16le, u32be, u64be, u64le, u8, uuid } from '../../src/index.ts'

const header = struct('header', { magic: u32be, flags: u16le, name: fixedString(6), size: u64be, id: uuid, type: guid, kind: u8, rest: rawBytes(3), end: u64le })
const values = {
  magic: 0xfeedface, flags: 0x0102, name: 'dïsk', size: 2 ** 40 + 5, id: '00112233-4455-6677-8899-aabbccddeeff',
  type: '2dc27766-f623-4200-9d64-115e9bfd4a08', kind: 7, rest: Uint8Array.of(1, 2, 3), end: 9,
}

describe('struct', () => {
  it('lays fields out in order, without gaps', () => {
    expect(header.bytes).toBe(4 + 2 + 6 + 8 + 16 + 16 + 1 + 3 + 8)
    expect(header.offsets).toMatchObject({ magic: 0, flags: 4, name: 6, size: 12, id: 20, type: 36, kind: 52, rest: 53, end: 56 })
    const bytes = header.encode(values)
    const hex = Buffer.from(bytes).toString('hex')
    expect(hex).toBe(
      'feedface' + '0201' + '64c3af736b00' + '0000010000000005' + '00112233445566778899aabbccddeeff' +
        '6677c22d23f600429d64115e9bfd4a08' + '07' + '010203' + '0900000000000000',
    )
    expect(header.decode(bytes)).toEqual(values)
  })

  it('works in the middle of a buffer and leaves the rest alone', () => {
    const bytes = new Uint8Array(header.bytes + 10).fill(0xcc)
    header.encodeInto(bytes, 5, values)
    expect(header.decode(bytes, 5)).toEqual(values)
    expect([...bytes.subarray(0, 5), ...bytes.subarray(5 + header.bytes)]).toEqual(new Array(10).fill(0xcc))
  })

  it('copies raw bytes', () => {
    const bytes = header.encode(values)
    const { rest } = header.decode(bytes)
    bytes.fill(0)
    expect(rest).toEqual(Uint8Array.of(1, 2, 3))
  })

  it('names the field that is cut off', () => {
    expect(() => header.decode(header.encode(values).subarray(0, 19))).toThrow(
      expect.objectContaining({ code: 'corrupt', message: 'header is truncated: no room for header.size', detail: { field: 'header.size' } }),
    )
  })

  it('names the field that does not fit', () => {
    const invalid = (field: string) => expect.objectContaining({ code: 'invalid', message: expect.stringContaining(field), detail: { field } })
    expect(() => header.encode({ ...values, magic: 2 ** 32 })).toThrow(invalid('header.magic'))
    expect(() => header.encode({ ...values, size: -1 })).toThrow(invalid('header.size'))
    expect(() => header.encode({ ...values, size: 2 ** 53 })).toThrow(invalid('header.size'))
    expect(() => header.encode({ ...values, kind: 1.5 })).toThrow(invalid('header.kind'))
    expect(() => header.encode({ ...values, name: 'toolong' })).toThrow(invalid('header.name'))
    expect(() => header.encode({ ...values, name: 'a\0b' })).toThrow(invalid('header.name'))
    expect(() => header.encode({ ...values, id: '0011' })).toThrow(invalid('header.id'))
    expect(() => header.encode({ ...values, type: '{00112233}' })).toThrow(invalid('header.type'))
    expect(() => header.encode({ ...values, rest: new Uint8Array(4) })).toThrow(invalid('header.rest'))
  })

  it('names the field with too large or broken content', () => {
    const bytes = header.encode(values)
    bytes[header.offsets.size] = 1
    expect(() => header.decode(bytes)).toThrow(expect.objectContaining({ code: 'range', errno: 'EFBIG', message: expect.stringContaining('header.size') }))
    const text = header.encode(values)
    text[header.offsets.name] = 0xff
    expect(() => header.decode(text)).toThrow(expect.objectContaining({ code: 'corrupt', message: 'header.name is not valid UTF-8' }))
  })
})

describe('fixedString', () => {
  const three = struct('s', { text: fixedString(3) })
  it('ends at the first NUL, or fills the field', () => {
    expect(three.decode(Uint8Array.of(97, 0, 98)).text).toBe('a')
    expect(three.decode(Uint8Array.of(97, 98, 99)).text).toBe('abc')
    expect(three.decode(new Uint8Array(3)).text).toBe('')
    expect([...three.encode({ text: 'abc' })]).toEqual([97, 98, 99])
    const used = Uint8Array.of(1, 2, 3)
    three.encodeInto(used, 0, { text: 'x' })
    expect([...used]).toEqual([120, 0, 0])
  })
})
