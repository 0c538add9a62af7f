import { firstDifference } from './model/difference.ts'

/**
 * The error of a case that found a breach of the contract. Not a BlockError: it must never be mistaken for one
 * that the driver threw.
 *
 * @internal
 */
export function failure(message: string, cause?: unknown): Error {
  const error = new Error(message, cause === undefined ? undefined : { cause })
  error.name = 'ConformanceFailure'
  return error
}

/** Throws a {@link failure} unless `condition` holds. @internal */
export function check(condition: boolean, message: string | (() => string)): asserts condition {
  if (!condition) throw failure(typeof message === 'string' ? message : message())
}

/** Two byte strings are equal; names the first difference, as an offset in the image. @internal */
export function checkBytes(actual: Uint8Array, expected: Uint8Array, what: string, base = 0): void {
  check(actual.length === expected.length, () => `${what}: ${actual.length} bytes, expected ${expected.length}`)
  const at = firstDifference(actual, expected)
  if (at >= 0) throw failure(`${what}: byte ${base + at} is ${hex(actual[at]!)}, expected ${hex(expected[at]!)}`)
}

/** A range is all zeroes. @internal */
export function checkZero(actual: Uint8Array, what: string, base = 0): void {
  checkBytes(actual, new Uint8Array(actual.length), what, base)
}

/** @internal */
export function hex(byte: number): string {
  return `0x${byte.toString(16).padStart(2, '0')}`
}
