import { nextSummarised } from './bits.ts'
import { countOf, INTERIOR_TOP, type Interior, type Node } from './node.ts'

/** Puts `child` in place `index` and brings the upper levels along; `before` is what the old child counted. @internal */
export function putChild(interior: Interior, index: number, child: Node, childHeight: number, before: number): void {
  const after = countOf(child, childHeight)
  interior.children[index] = child
  interior.count += after - before
  const words = interior.words
  const word = index >>> 5
  if (before === 0 && after !== 0) {
    words[word] |= 1 << (index & 31)
    words[INTERIOR_TOP] |= 1 << word
  } else if (before !== 0 && after === 0) {
    words[word] &= ~(1 << (index & 31))
    if (words[word] === 0) words[INTERIOR_TOP] &= ~(1 << word)
  }
}

/** Index of the first child at or after `from` that has anything set, or -1; looks at three words at most. @internal */
export function nextChild(interior: Interior, from: number): number {
  return nextSummarised(interior.words, 0, INTERIOR_TOP, from)
}
