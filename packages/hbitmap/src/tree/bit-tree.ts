import { Arena } from './arena.ts'
import { exportWords } from './export-words.ts'
import { nextSet, nextUnset } from './find.ts'
import { importWords } from './import-words.ts'
import { nextChild, putChild } from './interior.ts'
import { cloneNode, mergeNodes } from './merge.ts'
import { countOf, FULL, type Interior, Leaf, type Node, SPAN } from './node.ts'
import { resetRange } from './reset-range.ts'
import { setRange } from './set-range.ts'

/**
 * The bitmap in the domain of granules: as many levels of 32-bit words as `length` needs, grouped into nodes.
 *
 * Nodes with nothing set and nodes with everything set take no memory. Nothing at or after `length` is ever set.
 * Arguments are trusted: ranges are not empty and lie within `length`.
 *
 * @internal
 */
export class BitTree {
  readonly arena = new Arena()
  #length: number
  #height: number
  #root: Node = null

  constructor(length: number) {
    this.#length = length
    this.#height = heightFor(length)
  }

  /** Granules in all. */
  get length(): number {
    return this.#length
  }

  /** Granules that are set; kept up to date, so reading it costs nothing. */
  get count(): number {
    return countOf(this.#root, this.#height)
  }

  get(index: number): boolean {
    return nextSet(this.arena, this.#root, this.#height, index) === index
  }

  set(from: number, to: number): void {
    this.#root = setRange(this.arena, this.#root, this.#height, from, to)
  }

  reset(from: number, to: number): void {
    this.#root = resetRange(this.arena, this.#root, this.#height, from, to)
  }

  clear(): void {
    this.#root = null
  }

  /** The first granule in `[from, to)` that is set, or -1. */
  nextSet(from: number, to: number): number {
    const found = nextSet(this.arena, this.#root, this.#height, from)
    return found < to ? found : -1
  }

  /** The first granule in `[from, to)` that is not set, or -1. */
  nextUnset(from: number, to: number): number {
    const found = nextUnset(this.arena, this.#root, this.#height, from, to)
    return found < to ? found : -1
  }

  /** Adds what is set in a tree of the same length. */
  merge(other: BitTree): void {
    this.#root = mergeNodes(this.arena, this.#root, other.#root, this.#height)
  }

  copy(): BitTree {
    const tree = new BitTree(this.#length)
    tree.#root = cloneNode(this.arena, this.#root, this.#height)
    return tree
  }

  /** Changes the length; what lies beyond a smaller one is dropped, what a larger one adds is not set. */
  truncate(length: number): void {
    const height = heightFor(length)
    if (length < this.#length && this.#root !== null) {
      this.#root = resetRange(this.arena, this.#root, this.#height, length, this.#length)
    }
    while (this.#height > height) {
      // Everything that is left lies below the first child.
      this.#root = this.#root === null ? null : (this.#root as Interior).children[0]
      this.#height--
    }
    while (this.#height < height) {
      const below = this.#root
      this.#height++
      this.#root = below === null ? null : setFirstChild(this.arena, below, this.#height)
    }
    this.#length = length
  }

  /** One little-endian bit for each granule of `[from, to)`; both are multiples of 32. */
  export(from: number, to: number, out: Uint8Array): void {
    const view = new DataView(out.buffer, out.byteOffset, out.byteLength)
    exportWords(this.arena, this.#root, this.#height, from, to, view, 0)
  }

  /** The reverse of {@link BitTree.export}; `to` may be the length, and bits of `data` beyond it are not looked at. */
  import(from: number, to: number, data: Uint8Array): void {
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
    this.#root = importWords(this.arena, this.#root, this.#height, from, to, view, 0)
  }

  /** Bytes of words that are allocated, counted by visiting every node. */
  wordBytes(): number {
    return bytesBelow(this.#root)
  }
}

function heightFor(length: number): number {
  let height = 0
  while (SPAN[height] < length) height++
  return height
}

function setFirstChild(arena: Arena, child: Node, height: number): Interior {
  const interior = arena.interior(height)
  putChild(interior, 0, child, height - 1, 0)
  return interior
}

function bytesBelow(node: Node): number {
  if (node === null || node === FULL) return 0
  if (node instanceof Leaf) return node.words.byteLength
  const interior = node as Interior
  let bytes = interior.words.byteLength
  for (let i = nextChild(interior, 0); i >= 0; i = nextChild(interior, i + 1)) {
    bytes += bytesBelow(interior.children[i])
  }
  return bytes
}
