import { describe, expect, test } from 'vitest'
import { readCount } from '../src/args/count.ts'
import { OptionList, parseKeyValues } from '../src/args/keyval.ts'
import { fixed2 } from '../src/output/fixed.ts'
import { humanSize } from '../src/output/human-size.ts'
import { compactJson, prettyJson } from '../src/output/json.ts'

describe('sizes', () => {
  test.each([
    [0, '0 B'], [1, '1 B'], [999, '999 B'], [1000, '0.977 KiB'], [1024, '1 KiB'], [1536, '1.5 KiB'], [200704, '196 KiB'], [1023488, '1e+03 KiB'],
    [1047552, '0.999 MiB'], [1048064, '1 MiB'], [1355776, '1.29 MiB'], [1024000000, '977 MiB'], [1072693248, '0.999 GiB'], [2 ** 50, '1 PiB'],
  ])('%d is %s', (bytes, text) => expect(humanSize(bytes)).toBe(text))

  test.each([
    ['65536', 65536n], ['1k', 1024n], ['1K', 1024n], ['1.5G', 1610612736n], ['0x100', 256n], ['0x1k', 1024n], ['0x1b', 27n], ['+1k', 1024n], [' 1k', 1024n],
    ['1.', 1n], ['1.k', 1024n], ['1b', 1n], ['7E', 8070450532247928832n],
  ])('%s is read as %d', (text, bytes) => expect(readCount(text)).toMatchObject({ bytes }))

  test.each(['', 'k', '1kb', '1 k', '-1', '.5k', '1.5', '1.5b', '1e3', '0x', '1X'])('%j is no size', (text) => expect(readCount(text)).toBe('malformed'))
  test('what does not fit 64 bits is too large', () => expect(readCount('16E')).toBe('too large'))

  test('ties of percentages go to the even digit', () => {
    expect([28.125, 3.125, 28.375, 4.6875, 100].map(fixed2)).toEqual(['28.12', '3.12', '28.38', '4.69', '100.00'])
  })
})

describe('option lists', () => {
  test('doubled commas are commas', () => {
    expect(parseKeyValues('a=1,b=x,,y,c,nod')).toEqual([
      { name: 'a', value: '1', short: false },
      { name: 'b', value: 'x,y', short: false },
      { name: 'c', value: 'on', short: true },
      { name: 'd', value: 'off', short: true },
    ])
  })

  test('later values win, and help is found anywhere', () => {
    const list = new OptionList()
    list.add('a=1,b=2')
    list.add('a=3,?')
    expect(list.values().get('a')).toBe('3')
    expect(list.asksForHelp).toBe(true)
  })
})

describe('JSON', () => {
  test('has the form of the reference', () => {
    expect(prettyJson({ a: 'é"\n\u{1F600}', b: [], c: undefined, d: { e: [true, null] } })).toBe(
      '{\n    "a": "\\u00E9\\"\\n\\uD83D\\uDE00",\n    "b": [\n    ],\n    "d": {\n        "e": [\n            true,\n            null\n        ]\n    }\n}',
    )
    expect(compactJson({ driver: 'raw', file: { driver: 'file' } })).toBe('{"driver": "raw", "file": {"driver": "file"}}')
  })
})
