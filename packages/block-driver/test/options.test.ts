import { MAX_IMAGE_SIZE, isBlockError, option, parseOptions, parseSize } from '@blockloom/block-driver'
import { describe, expect, test } from 'vitest'

const schema = {
  filename: option.string('File name', { required: true }),
  size: option.size('Size', { min: 512 }),
  count: option.integer('Count', { default: 3, min: 1, max: 9 }),
  ratio: option.number('Ratio'),
  lazy: option.boolean('Lazy', { default: false }),
  mode: option.choice(['off', 'full'], 'Mode', { default: 'off' }),
  encrypt: option.object({ format: option.string('Format', { required: true }), iter: option.integer('Iterations', { default: 10 }) }, 'Encryption'),
}
const refusal = (values: Record<string, unknown>) => {
  try {
    parseOptions(schema, values)
  } catch (error) {
    if (isBlockError(error, 'invalid') || isBlockError(error, 'range')) return [error.message, error.detail['option']]
    throw error
  }
  throw new Error('accepted')
}

describe('parseOptions', () => {
  test('fills in defaults and leaves absent options out', () => {
    expect(parseOptions(schema, { filename: 'x', ratio: undefined })).toEqual({ filename: 'x', count: 3, lazy: false, mode: 'off' })
  })

  test('takes the spellings of a command line', () => {
    expect(parseOptions(schema, { filename: 'x', size: '1.5k', count: '0x9', ratio: '0.5', lazy: 'on', mode: 'full', 'encrypt.format': 'luks' })).toEqual({
      filename: 'x', size: 1536, count: 9, ratio: 0.5, lazy: true, mode: 'full', encrypt: { format: 'luks', iter: 10 },
    })
  })

  test.each([
    [{}, "Parameter 'filename' is missing", 'filename'],
    [{ filename: 'x', nam: 1 }, "Invalid parameter 'nam'", 'nam'],
    [{ filename: 7 }, "Parameter 'filename' expects a string", 'filename'],
    [{ filename: 'x', size: 511 }, `Parameter 'size' must be between 512 and ${MAX_IMAGE_SIZE}, not 511`, 'size'],
    [{ filename: 'x', count: 10 }, "Parameter 'count' must be between 1 and 9, not 10", 'count'],
    [{ filename: 'x', count: '' }, "Parameter 'count' expects a number", 'count'],
    [{ filename: 'x', count: 1.5 }, "Parameter 'count' expects a number", 'count'],
    [{ filename: 'x', ratio: 'NaN' }, "Parameter 'ratio' expects a number", 'ratio'],
    [{ filename: 'x', lazy: 1 }, "Parameter 'lazy' expects 'on' or 'off'", 'lazy'],
    [{ filename: 'x', mode: 'half' }, "Parameter 'mode' does not accept value 'half'", 'mode'],
    [{ filename: 'x', encrypt: {} }, "Parameter 'encrypt.format' is missing", 'encrypt.format'],
    [{ filename: 'x', 'encrypt.fmt': 'luks' }, "Invalid parameter 'encrypt.fmt'", 'encrypt.fmt'],
    [{ filename: 'x', encrypt: 'luks', 'encrypt.format': 'luks' }, "Cannot mix 'encrypt' with 'encrypt.format'", 'encrypt'],
    [{ filename: 'x', ['__proto__x']: 1 }, "Invalid parameter '__proto__x'", '__proto__x'],
    [{ filename: 'x', constructor: 1 }, "Invalid parameter 'constructor'", 'constructor'],
  ])('%j is refused by name', (values, message, name) => {
    expect(refusal(values)).toEqual([message, name])
  })

  describe('an object with a shorthand', () => {
    const checks = {
      check: option.object({ template: option.choice(['none', 'all'], 'Which'), table: option.boolean('Tables') }, 'Checks', { shorthand: 'template' }),
    }
    test.each([
      [{ check: 'all' }, { template: 'all' }],
      [{ 'check.template': 'all' }, { template: 'all' }],
      [{ check: { template: 'none', table: true } }, { template: 'none', table: true }],
      [{ check: 'all', 'check.table': 'off' }, { template: 'all', table: false }],
      [{ 'check.table': 'off', check: 'all' }, { template: 'all', table: false }],
      [{ check: 'all', 'check.template': 'all' }, { template: 'all' }],
      [{ check: undefined, 'check.table': true }, { table: true }],
      [{ 'check.table': true, check: undefined }, { table: true }],
    ])('%j', (values, check) => {
      expect(parseOptions(checks, values)).toEqual({ check })
    })
    test.each([
      [{ check: 'some' }, "Parameter 'check.template' does not accept value 'some'"],
      [{ check: 'all', 'check.template': 'none' }, "Conflicting values for option 'check.template' ('all' and 'none')"],
      [{ check: null, 'check.table': true }, "Cannot mix 'check' with 'check.table'"],
      [{ 'check.table': true, check: null }, "Cannot mix 'check' with 'check.table'"],
      [{ check: ['all'] }, "Parameter 'check' expects an object"],
    ])('%j is refused', (values, message) => {
      expect(() => parseOptions(checks, values)).toThrow(message)
    })
  })

  test('who knows better words for an unknown option is asked, for members too', () => {
    const unknown = (name: string): string => `no ${name}`
    expect(() => parseOptions(schema, { filename: 'x', nam: 1 }, { prefix: 'file.', unknown })).toThrow('no nam')
    expect(() => parseOptions(schema, { filename: 'x', 'encrypt.fmt': 'luks' }, { prefix: 'file.', unknown })).toThrow('no encrypt.fmt')
  })

  test('a size that is none is explained as the reference does', () => {
    expect(refusal({ filename: 'x', size: 'big' })[0]).toBe(
      "Parameter 'size' expects a non-negative number below 2^64\nOptional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-\nand exabytes, respectively.",
    )
  })
})

describe('parseSize', () => {
  test.each([['0', 0], ['512', 512], ['64k', 65536], ['64K', 65536], ['1M', 1 << 20], ['1.5G', 1.5 * 2 ** 30], ['2T', 2 ** 41], ['7P', 7 * 2 ** 50], ['0x10', 16], ['10b', 10], ['.5k', 512], ['1.3k', 1331]])('%s', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes)
  })
  test.each(['', 'k', '1kk', '-1', '1.5', '1e3', '0x', '12 k', '1,5G', 'NaN', 'Infinity'])('%j is no size', (text) => {
    expect(parseSize(text)).toBeUndefined()
  })
  test.each(['8P', '1E', '9007199254740993', '0xffffffffffffffff'])('%s is too large', (text) => {
    expect(() => parseSize(text)).toThrow(expect.objectContaining({ code: 'range', errno: 'EFBIG' }))
  })
})
