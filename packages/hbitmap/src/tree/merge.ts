import type { Arena } from './arena.ts'
import { nextChild, putChild } from './interior.ts'
import { mergeLeaf } from './leaf.ts'
import { countOf, FULL, Interior, Leaf, LEAF_BITS, type Node, SPAN } from './node.ts'

/** Adds everything that is set in `other` to `node`; `other` stays as it is and shares nothing with the result. @internal */
export function mergeNodes(arena: Arena, node: Node, other: Node, height: number): Node {
  arena.visits++
  if (other === null) return node
  if (node === FULL || other === FULL) return FULL
  if (node === null) return cloneNode(arena, other, height)
  if (height === 0) {
    const leaf = node as Leaf
    mergeLeaf(leaf, other as Leaf)
    return leaf.count === LEAF_BITS ? FULL : leaf
  }
  const interior = node as Interior
  const theirs = other as Interior
  for (let i = nextChild(theirs, 0); i >= 0; i = nextChild(theirs, i + 1)) {
    const child = interior.children[i]
    const before = countOf(child, height - 1)
    putChild(interior, i, mergeNodes(arena, child, theirs.children[i], height - 1), height - 1, before)
  }
  return interior.count === SPAN[height] ? FULL : interior
}

/** A deep copy of `node`. @internal */
export function cloneNode(arena: Arena, node: Node, height: number): Node {
  arena.visits++
  if (node === null || node === FULL) return node
  if (height === 0) {
    const leaf = new Leaf()
    leaf.words.set((node as Leaf).words)
    leaf.count = (node as Leaf).count
    return leaf
  }
  const source = node as Interior
  const interior = new Interior()
  interior.words.set(source.words)
  interior.count = source.count
  for (let i = nextChild(source, 0); i >= 0; i = nextChild(source, i + 1)) {
    interior.children[i] = cloneNode(arena, source.children[i], height - 1)
  }
  return interior
}
