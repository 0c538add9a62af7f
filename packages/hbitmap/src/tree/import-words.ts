import type { Arena } from './arena.ts'
import { maskOf } from './bits.ts'
import { putChild } from './interior.ts'
import { putWord } from './leaf.ts'
import { countOf, FULL, type Interior, type Leaf, LEAF_BITS, type Node, SPAN } from './node.ts'

/**
 * Replaces granules `[from, to)` below `node` by the little-endian bits of `data`, beginning at byte `at`; returns
 * what stands in its place now.
 *
 * `from` is a multiple of 32; bits of the last word beyond `to` are left as they are, whatever `data` says.
 *
 * @internal
 */
export function importWords(
  arena: Arena, node: Node, height: number, from: number, to: number, data: DataView, at: number,
): Node {
  arena.visits++
  if (height === 0) return importLeaf(arena, node as Leaf | typeof FULL | null, from, to, data, at)
  const interior =
    node === FULL ? arena.fullInterior(height) : ((node as Interior | null) ?? arena.interior(height))
  const span = SPAN[height - 1]
  const first = Math.floor(from / span)
  const last = Math.floor((to - 1) / span)
  for (let i = first; i <= last; i++) {
    const child = interior.children[i]
    const before = countOf(child, height - 1)
    const low = i === first ? from - i * span : 0
    const high = i === last ? to - i * span : span
    const part = importWords(arena, child, height - 1, low, high, data, at + (i * span + low - from) / 8)
    putChild(interior, i, part, height - 1, before)
  }
  if (interior.count === SPAN[height]) return FULL
  if (interior.count > 0) return interior
  arena.emptiedInterior(interior, height)
  return null
}

function importLeaf(
  arena: Arena, node: Leaf | typeof FULL | null, from: number, to: number, data: DataView, at: number,
): Node {
  const leaf = node === FULL ? arena.fullLeaf() : ((node as Leaf | null) ?? arena.leaf())
  const first = from >>> 5
  const last = (to - 1) >>> 5
  for (let i = first; i <= last; i++) {
    let word = data.getUint32(at + (i - first) * 4, true)
    if (i === last) {
      const mask = maskOf(0, ((to - 1) & 31) + 1)
      word = (word & mask) | (leaf.words[i] & ~mask)
    }
    putWord(leaf, i, word)
  }
  if (leaf.count === LEAF_BITS) return FULL
  if (leaf.count > 0) return leaf
  arena.emptiedLeaf(leaf)
  return null
}
