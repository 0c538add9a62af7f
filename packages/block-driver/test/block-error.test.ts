import { BlockError, isBlockError } from '@blockloom/block-driver'
import { expect, test } from 'vitest'

test('keeps code, errno, message, cause and detail', () => {
  const cause = new Error('below')
  const error = new BlockError('no-space', 'full', { cause, detail: { offset: 7 } })
  expect([error.code, error.errno, error.message, error.cause, error.detail]).toEqual(['no-space', 'ENOSPC', 'full', cause, { offset: 7 }])
  expect(new BlockError('io', 'x', { errno: 'EREMOTEIO' }).errno).toBe('EREMOTEIO')
})

test('is told by its brand, by code if asked', () => {
  const error = new BlockError('busy', 'x')
  expect([isBlockError(error), isBlockError(error, 'busy'), isBlockError(error, 'io')]).toEqual([true, true, false])
  // What another copy of the package would make.
  const foreign = Object.defineProperty(Object.assign(new Error('x'), { code: 'io' }), Symbol.for('blockloom.BlockError'), { value: true })
  expect(isBlockError(foreign, 'io')).toBe(true)
  for (const other of [null, undefined, 'busy', new Error('x'), { code: 'busy' }]) expect(isBlockError(other)).toBe(false)
})
