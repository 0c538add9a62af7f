import type { Arena } from './arena.ts'
import { putChild } from './interior.ts'
import { setInLeaf } from './leaf.ts'
import { countOf, FULL, type Interior, type Leaf, LEAF_BITS, type Node, SPAN } from './node.ts'

/**
 * Sets granules `[from, to)` below `node`, counted from its first one; returns what stands in its place now.
 *
 * Parts that are covered whole become {@link FULL} without being visited.
 *
 * @internal
 */
export function setRange(arena: Arena, node: Node, height: number, from: number, to: number): Node {
  arena.visits++
  if (node === FULL) return FULL
  if (from === 0 && to === SPAN[height]) return FULL
  if (height === 0) {
    const leaf = (node as Leaf | null) ?? arena.leaf()
    setInLeaf(leaf, from, to)
    return leaf.count === LEAF_BITS ? FULL : leaf
  }
  const interior = (node as Interior | null) ?? arena.interior(height)
  const span = SPAN[height - 1]
  const first = Math.floor(from / span)
  const last = Math.floor((to - 1) / span)
  for (let i = first; i <= last; i++) {
    const child = interior.children[i]
    const before = countOf(child, height - 1)
    const low = i === first ? from - i * span : 0
    const high = i === last ? to - i * span : span
    putChild(interior, i, setRange(arena, child, height - 1, low, high), height - 1, before)
  }
  return interior.count === SPAN[height] ? FULL : interior
}
