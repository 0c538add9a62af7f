import { describe, expect, test } from 'vitest'
import { Getopt } from '../src/args/getopt.ts'

const SYNTAX = [
  { name: 'format', short: 'f', long: 'format', argument: true },
  { name: 'force', short: 'U', long: 'force-share' },
  { name: 'quiet', short: 'q' },
  { name: 'output', long: 'output', argument: true },
]

function parse(...args: string[]): { options: string[]; operands: readonly string[] } {
  const getopt = new Getopt('cmd', args, SYNTAX)
  return { options: [...getopt].map(({ name, value }) => (value === '' ? name : `${name}=${value}`)), operands: getopt.operands }
}

describe('getopt', () => {
  test('takes options apart wherever they are', () => {
    expect(parse('a', '-Uf', 'raw', 'b', '-fqcow2', '--format=x=y', '--format', '-z', '-')).toEqual({
      options: ['force', 'format=raw', 'format=qcow2', 'format=x=y', 'format=-z'],
      operands: ['a', 'b', '-'],
    })
    expect(parse('-q', '--', '-q', '--', 'x')).toEqual({ options: ['quiet'], operands: ['-q', '--', 'x'] })
    expect(parse('-f', '--', 'x')).toEqual({ options: ['format=--'], operands: ['x'] })
  })

  test('abbreviates long options as long as it is clear', () => {
    expect(parse('--out=json', '--format=raw', '--force').options).toEqual(['output=json', 'format=raw', 'force'])
    expect(() => parse('--fo=raw')).toThrow("unrecognized option '--fo=raw'")
  })

  test.each([
    [['-x'], "unrecognized option '-x'"],
    [['--xx=1'], "unrecognized option '--xx=1'"],
    [['--force-share=1'], "unrecognized option '--force-share=1'"],
    [['-f'], "missing argument for option '-f'"],
    [['-Uf'], "missing argument for option '-Uf'"],
    [['--output'], "missing argument for option '--output'"],
    // What getopt's index points at inside a cluster.
    [['-xU', 'a'], "unrecognized option 'cmd'"],
    [['-q', '-xU'], "unrecognized option '-q'"],
    [['a', '-q', '-xU'], "unrecognized option 'a'"],
    [['-Ux'], "unrecognized option '-Ux'"],
  ])('%j is refused: %s', (args, message) => {
    expect(() => parse(...args)).toThrow(message)
  })

  test('mistakes are thrown in their turn', () => {
    const seen: string[] = []
    expect(() => {
      for (const { name } of new Getopt('cmd', ['-q', '-U', '-x', '-q'], SYNTAX)) seen.push(name)
    }).toThrow("unrecognized option '-x'")
    expect(seen).toEqual(['quiet', 'force'])
  })

  test('an operand can end the options', () => {
    const getopt = new Getopt('tool', ['-q', 'cmd', '-x'], SYNTAX, { stopAtOperand: true })
    expect([...getopt].map(({ name }) => name)).toEqual(['quiet'])
    expect(getopt.operands).toEqual(['cmd', '-x'])
  })
})
