import type { Arena } from './arena.ts'
import { nextChild } from './interior.ts'
import { nextWord } from './leaf.ts'
import { FULL, type Interior, type Leaf, type Node, SPAN } from './node.ts'

/**
 * Writes granules `[from, to)` below `node` to `out`, one little-endian bit each, beginning at byte `at`.
 *
 * `from` and `to` are multiples of 32. `out` is zero beforehand, so parts with nothing set are not visited.
 *
 * @internal
 */
export function exportWords(
  arena: Arena, node: Node, height: number, from: number, to: number, out: DataView, at: number,
): void {
  arena.visits++
  if (node === null) return
  if (node === FULL) {
    new Uint8Array(out.buffer, out.byteOffset + at, (to - from) / 8).fill(0xff)
  } else if (height === 0) {
    const leaf = node as Leaf
    const first = from >>> 5
    const end = to / 32
    for (let i = nextWord(leaf, first); i >= 0 && i < end; i = nextWord(leaf, i + 1)) {
      out.setUint32(at + (i - first) * 4, leaf.words[i], true)
    }
  } else {
    const interior = node as Interior
    const span = SPAN[height - 1]
    const first = Math.floor(from / span)
    const last = Math.floor((to - 1) / span)
    for (let i = nextChild(interior, first); i >= 0 && i <= last; i = nextChild(interior, i + 1)) {
      const low = i === first ? from - i * span : 0
      const high = i === last ? to - i * span : span
      exportWords(arena, interior.children[i], height - 1, low, high, out, at + (i * span + low - from) / 8)
    }
  }
}
