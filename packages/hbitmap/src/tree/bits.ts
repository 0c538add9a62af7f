/**
 * Words of 32 bits: the masks and counts that every level is made of.
 *
 * All arguments are word-sized, so the bitwise operators are safe here and only here.
 */

/** Number of ones in a 32-bit word. @internal */
export function popcount(word: number): number {
  let w = word - ((word >>> 1) & 0x55555555)
  w = (w & 0x33333333) + ((w >>> 2) & 0x33333333)
  return Math.imul((w + (w >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
}

/** Index of the lowest one in a non-zero 32-bit word. @internal */
export function lowestBit(word: number): number {
  return 31 - Math.clz32(word & -word)
}

/** A word whose bits `[from, to)` are ones; `0 <= from < to <= 32`. @internal */
export function maskOf(from: number, to: number): number {
  return (-1 << from) & (-1 >>> (32 - to))
}

/**
 * The lowest one at or after bit `from` in an array of at most 32 words, whose `summary` word has one bit
 * for each of them that is not zero. Returns -1 when there is none.
 *
 * @internal
 */
export function nextSummarised(words: Uint32Array, base: number, summary: number, from: number): number {
  const index = from >>> 5
  if (index >= 32) return -1
  const word = words[base + index] & (-1 << (from & 31))
  if (word !== 0) return index * 32 + lowestBit(word)
  if (index === 31) return -1
  const rest = words[summary] & (-1 << (index + 1))
  if (rest === 0) return -1
  const next = lowestBit(rest)
  return next * 32 + lowestBit(words[base + next])
}
