/**
 * Finds zeroes in buffers, with the host's memcmp: 55 GB/s for zeroes in the cache, six times the portable way.
 *
 * @packageDocumentation
 */
import { Buffer } from 'node:buffer'
import { type RunVisitor, isZero as isZeroPortable, splitRuns } from './zero-detect.ts'

export type { RunVisitor } from './zero-detect.ts'

// Below, the call costs more than it saves.
const WORTH_A_CALL = 512
// Stays in the cache, next to what it is compared with.
const zeroes = new Uint8Array(65536)

/** Whether all bytes are zero; true for none. Data that is not zero is mostly known from three bytes. @public */
export function isZero(bytes: Uint8Array): boolean {
  const length = bytes.length
  if (length < WORTH_A_CALL) return isZeroPortable(bytes)
  if (bytes[0] !== 0 || bytes[length - 1] !== 0 || bytes[length >> 1] !== 0) return false
  if (length === zeroes.length) return Buffer.compare(bytes, zeroes) === 0
  for (let at = 0; at < length; at += zeroes.length) {
    const part = bytes.subarray(at, at + zeroes.length)
    const like = part.length === zeroes.length ? zeroes : zeroes.subarray(0, part.length)
    if (Buffer.compare(part, like) !== 0) return false
  }
  return true
}

/**
 * Splits a buffer into runs of zeroes and of data, as long as possible, in order, without gaps.
 *
 * @param granularity - runs begin and end at multiples of this, except at the ends of the buffer; a granule with any
 * other byte than zero is data
 * @param visit - called for each run
 * @param offset - where the buffer lies on the disk: the multiples are counted from the disk's start
 * @public
 */
export function zeroRuns(bytes: Uint8Array, granularity: number, visit: RunVisitor, offset = 0): void {
  splitRuns(bytes, granularity, visit, offset, isZero)
}
