import type { Arena } from './arena.ts'
import { nextChild, putChild } from './interior.ts'
import { resetInLeaf } from './leaf.ts'
import { countOf, FULL, type Interior, type Leaf, type Node, SPAN } from './node.ts'

/**
 * Resets granules `[from, to)` below `node`, counted from its first one; returns what stands in its place now.
 *
 * Parts with nothing set are not visited, parts that are covered whole are dropped.
 *
 * @internal
 */
export function resetRange(arena: Arena, node: Node, height: number, from: number, to: number): Node {
  arena.visits++
  if (node === null) return null
  if (from === 0 && to === SPAN[height]) return null
  if (height === 0) {
    const leaf = node === FULL ? arena.fullLeaf() : (node as Leaf)
    resetInLeaf(leaf, from, to)
    if (leaf.count > 0) return leaf
    arena.emptiedLeaf(leaf)
    return null
  }
  const interior = node === FULL ? arena.fullInterior(height) : (node as Interior)
  const span = SPAN[height - 1]
  const first = Math.floor(from / span)
  const last = Math.floor((to - 1) / span)
  for (let i = nextChild(interior, first); i >= 0 && i <= last; i = nextChild(interior, i + 1)) {
    const child = interior.children[i]
    const before = countOf(child, height - 1)
    const low = i === first ? from - i * span : 0
    const high = i === last ? to - i * span : span
    putChild(interior, i, resetRange(arena, child, height - 1, low, high), height - 1, before)
  }
  if (interior.count > 0) return interior
  arena.emptiedInterior(interior, height)
  return null
}
