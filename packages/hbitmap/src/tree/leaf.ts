import { lowestBit, maskOf, nextSummarised, popcount } from './bits.ts'
import { LEAF_LEVEL_1, LEAF_LEVEL_2, LEAF_WORDS, type Leaf } from './node.ts'

/** Replaces one word of granules and brings count and upper levels along. @internal */
export function putWord(leaf: Leaf, index: number, word: number): void {
  const words = leaf.words
  const old = words[index]
  if (old === word >>> 0) return
  words[index] = word
  leaf.count += popcount(word) - popcount(old)
  if (old === 0) {
    words[LEAF_LEVEL_1 + (index >>> 5)] |= 1 << (index & 31)
    words[LEAF_LEVEL_2] |= 1 << (index >>> 5)
  } else if (word === 0) {
    const above = LEAF_LEVEL_1 + (index >>> 5)
    words[above] &= ~(1 << (index & 31))
    if (words[above] === 0) words[LEAF_LEVEL_2] &= ~(1 << (index >>> 5))
  }
}

/** Sets bits `[from, to)`, which must not be empty. @internal */
export function setInLeaf(leaf: Leaf, from: number, to: number): void {
  const first = from >>> 5
  const last = (to - 1) >>> 5
  for (let i = first; i <= last; i++) {
    const mask = maskOf(i === first ? from & 31 : 0, i === last ? ((to - 1) & 31) + 1 : 32)
    putWord(leaf, i, leaf.words[i] | mask)
  }
}

/** Resets bits `[from, to)`, which must not be empty. @internal */
export function resetInLeaf(leaf: Leaf, from: number, to: number): void {
  const first = from >>> 5
  const last = (to - 1) >>> 5
  for (let i = first; i <= last; i++) {
    const mask = maskOf(i === first ? from & 31 : 0, i === last ? ((to - 1) & 31) + 1 : 32)
    putWord(leaf, i, leaf.words[i] & ~mask)
  }
}

/** The first one at or after `from`, or -1; looks at five words at most. @internal */
export function nextSetInLeaf(leaf: Leaf, from: number): number {
  const words = leaf.words
  const index = from >>> 5
  const word = words[index] & (-1 << (from & 31))
  if (word !== 0) return index * 32 + lowestBit(word)
  const next = nextSummarised(words, LEAF_LEVEL_1, LEAF_LEVEL_2, index + 1)
  return next < 0 ? -1 : next * 32 + lowestBit(words[next])
}

/** The first zero in `[from, to)`; otherwise -1 or something at or after `to`. Passes over words of ones. @internal */
export function nextZeroInLeaf(leaf: Leaf, from: number, to: number): number {
  const words = leaf.words
  let index = from >>> 5
  let zeros = ~words[index] & (-1 << (from & 31))
  while (zeros === 0) {
    if (++index === LEAF_WORDS || index * 32 >= to) return -1
    zeros = ~words[index]
  }
  return index * 32 + lowestBit(zeros)
}

/** Adds everything that is set in `other`. @internal */
export function mergeLeaf(leaf: Leaf, other: Leaf): void {
  for (let i = nextWord(other, 0); i >= 0; i = nextWord(other, i + 1)) putWord(leaf, i, leaf.words[i] | other.words[i])
}

/** Index of the first word of granules at or after `from` that is not zero, or -1. @internal */
export function nextWord(leaf: Leaf, from: number): number {
  return nextSummarised(leaf.words, LEAF_LEVEL_1, LEAF_LEVEL_2, from)
}
