/**
 * Finds zeroes in buffers; portable. Self-contained: nothing is imported.
 *
 * Measured on one core, 64 KiB of zeroes: 9.5 GB/s. Sixteen 32-bit words at once beat one at a time (6.5) and
 * doubles, one at a time (10.6, but -0 is not zero bytes); 64-bit integers are faster (15) once compiled, but allocate before.
 *
 * @packageDocumentation
 */

/** Whether all bytes are zero; true for none. Data that is not zero is mostly known from three bytes. @public */
export function isZero(bytes: Uint8Array): boolean {
  const length = bytes.length
  if (length === 0) return true
  if (bytes[0] !== 0 || bytes[length - 1] !== 0 || bytes[length >> 1] !== 0) return false
  // Words must be aligned in their buffer; the ragged ends are looked at byte by byte.
  const head = Math.min(length, (4 - (bytes.byteOffset % 4)) % 4)
  for (let i = 0; i < head; i++) if (bytes[i] !== 0) return false
  if (head === length) return true
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + head, (length - head) >> 2)
  for (let i = head + words.length * 4; i < length; i++) if (bytes[i] !== 0) return false

  let i = 0
  for (const end = words.length - 15; i < end; i += 16) {
    const some =
      words[i]! | words[i + 1]! | words[i + 2]! | words[i + 3]! | words[i + 4]! | words[i + 5]! | words[i + 6]! | words[i + 7]! |
      words[i + 8]! | words[i + 9]! | words[i + 10]! | words[i + 11]! | words[i + 12]! | words[i + 13]! | words[i + 14]! | words[i + 15]!
    if (some !== 0) return false
  }
  for (; i < words.length; i++) if (words[i] !== 0) return false
  return true
}

/** Gets one run of a buffer: where it starts in the buffer, its length, and whether it is all zeroes. @public */
export type RunVisitor = (at: number, bytes: number, zero: boolean) => void

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

/** {@link zeroRuns} with any test for zeroes. @internal */
export function splitRuns(bytes: Uint8Array, granularity: number, visit: RunVisitor, offset: number, test: (bytes: Uint8Array) => boolean): void {
  const length = bytes.length
  let start = 0
  let zero = false
  for (let at = 0, end = Math.min(length, granularity - (offset % granularity)); at < length; at = end, end = Math.min(length, end + granularity)) {
    const now = test(bytes.subarray(at, end))
    if (at > start && now !== zero) {
      visit(start, at - start, zero)
      start = at
    }
    zero = now
  }
  if (length > 0) visit(start, length - start, zero)
}
