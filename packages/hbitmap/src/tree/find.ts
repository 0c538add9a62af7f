import type { Arena } from './arena.ts'
import { nextChild } from './interior.ts'
import { nextSetInLeaf, nextZeroInLeaf } from './leaf.ts'
import { FANOUT, FULL, type Interior, type Leaf, type Node, SPAN } from './node.ts'

/** The first granule at or after `from` that is set, counted from the node's first one, or -1. @internal */
export function nextSet(arena: Arena, node: Node, height: number, from: number): number {
  arena.visits++
  if (node === null) return -1
  if (node === FULL) return from
  if (height === 0) return nextSetInLeaf(node as Leaf, from)
  const interior = node as Interior
  const span = SPAN[height - 1]
  const index = Math.floor(from / span)
  const inside = nextSet(arena, interior.children[index], height - 1, from - index * span)
  if (inside >= 0) return index * span + inside
  const next = nextChild(interior, index + 1)
  return next < 0 ? -1 : next * span + nextSet(arena, interior.children[next], height - 1, 0)
}

/**
 * The first granule in `[from, to)` that is not set, counted from the node's first one; otherwise -1 or something
 * at or after `to`.
 *
 * @internal
 */
export function nextUnset(arena: Arena, node: Node, height: number, from: number, to: number): number {
  arena.visits++
  if (node === null) return from
  if (node === FULL) return -1
  if (height === 0) return nextZeroInLeaf(node as Leaf, from, to)
  const interior = node as Interior
  const span = SPAN[height - 1]
  let index = Math.floor(from / span)
  let low = from - index * span
  for (; index < FANOUT && index * span < to; index++, low = 0) {
    const child = interior.children[index]
    if (child === FULL) continue
    // Only the first child can answer -1 here, when all is set from `low` on: no other is entered in vain.
    const inside = nextUnset(arena, child, height - 1, low, to - index * span)
    if (inside >= 0) return index * span + inside
  }
  return -1
}
