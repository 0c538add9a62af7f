import { MAX_IMAGE_SIZE } from '@blockloom/block-driver'
import { Failure } from '../failure.ts'

const SUFFIX: Readonly<Record<string, bigint>> = { b: 1n, k: 1n << 10n, m: 1n << 20n, g: 1n << 30n, t: 1n << 40n, p: 1n << 50n, e: 1n << 60n }

/** A byte count that was read, or why it cannot be one. @internal */
export type CountText = { readonly bytes: bigint; readonly deprecated: boolean } | 'malformed' | 'too large'

const UNSIGNED_64 = 1n << 64n

/**
 * Reads `65536`, `64k`, `1.5G`, `0x1000`: suffixes are powers of 1024, and a fraction needs one.
 *
 * @internal
 */
export function readCount(text: string): CountText {
  const hex = /^\s*\+?0[xX]([0-9a-fA-F]+)([bkmgtpeBKMGTPE]?)$/.exec(text)
  if (hex) {
    // `b` and `e` are digits: they never get here as suffixes.
    const suffix = hex[2]!.toLowerCase()
    return inRange(BigInt(`0x${hex[1]!}`) * (SUFFIX[suffix] ?? 1n), suffix !== '')
  }
  const decimal = /^\s*\+?(\d+)(\.\d*)?([bkmgtpeBKMGTPE]?)$/.exec(text)
  if (!decimal) return 'malformed'
  const unit = SUFFIX[decimal[3]!.toLowerCase()] ?? 1n
  const fraction = Number(`0${decimal[2] ?? '.0'}0`)
  if (fraction !== 0 && unit === 1n) return 'malformed'
  return inRange(BigInt(decimal[1]!) * unit + BigInt(Math.trunc(fraction * Number(unit))), false)
}

function inRange(bytes: bigint, deprecated: boolean): CountText {
  return bytes < UNSIGNED_64 ? { bytes, deprecated } : 'too large'
}

/** Largest value of a signed 64-bit integer. @internal */
export const INT64_MAX = (1n << 63n) - 1n

/** Largest value of a C `int`. @internal */
export const INT_MAX = 2147483647n

/** What {@link countArgument} needs. @internal */
export interface CountRule {
  /** `image size`: as errors name it. */
  readonly what: string
  readonly max?: bigint
  readonly warn: (message: string) => void
}

/** A byte count from a command line, exact. @throws Failure in the reference's words @internal */
export function exactCount(text: string, { what, max = INT64_MAX, warn }: CountRule): bigint {
  const count = readCount(text)
  if (count === 'malformed') {
    throw new Failure(`Invalid ${what} specified. You may use k, M, G, T, P or E suffixes for`, {
      hint: { line: 'kilobytes, megabytes, gigabytes, terabytes, petabytes and exabytes.' },
    })
  }
  if (count === 'too large' || count.bytes > max) throw new Failure(`Invalid ${what} specified. Must be between 0 and ${max}.`)
  if (count.deprecated) warn(`Using a multiplier suffix on hex numbers is deprecated: ${text.trim()}`)
  return count.bytes
}

/** The same as a number; what is beyond the largest image is that plus one, which nothing accepts. @internal */
export function countArgument(text: string, rule: CountRule): number {
  const bytes = exactCount(text, rule)
  return bytes > BigInt(MAX_IMAGE_SIZE) ? MAX_IMAGE_SIZE + 1 : Number(bytes)
}

/**
 * A plain number such as a count of requests: decimal, octal or hexadecimal, 0 … INT_MAX.
 *
 * @internal
 */
export function plainNumber(text: string, complaint: string, max = Number(INT_MAX)): number {
  const match = /^\s*\+?(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9]\d*)$/.exec(text)
  const digits = match?.[1]
  const value = digits === undefined ? NaN : /^0[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number(digits)
  if (!(value <= max)) throw new Failure(complaint)
  return value
}
