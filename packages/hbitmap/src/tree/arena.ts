import { FULL, INTERIOR_TOP, Interior, LEAF_BITS, LEAF_LEVEL_2, Leaf, SPAN } from './node.ts'

/**
 * Hands out nodes, and keeps one of each height that fell empty.
 *
 * A guest that dirties a granule which a job cleans at once would otherwise allocate a leaf each time. An emptied
 * node is zero on every level, so it can be used again as it is.
 *
 * @internal
 */
export class Arena {
  /** Nodes that operations have looked at so far: what the tests measure effort by. */
  visits = 0
  #leaf: Leaf | null = null
  readonly #interiors: (Interior | null)[] = [null, null, null, null, null]

  leaf(): Leaf {
    const spare = this.#leaf
    this.#leaf = null
    return spare ?? new Leaf()
  }

  interior(height: number): Interior {
    const spare = this.#interiors[height]
    this.#interiors[height] = null
    return spare ?? new Interior()
  }

  /** Takes back a leaf with nothing set. */
  emptiedLeaf(leaf: Leaf): void {
    this.#leaf = leaf
  }

  /** Takes back an interior node with nothing set below. */
  emptiedInterior(interior: Interior, height: number): void {
    this.#interiors[height] = interior
  }

  /** A leaf with everything set, to be changed. */
  fullLeaf(): Leaf {
    const leaf = this.leaf()
    leaf.words.fill(0xffffffff, 0, LEAF_LEVEL_2 + 1)
    leaf.count = LEAF_BITS
    return leaf
  }

  /** An interior node of `height` whose children are all full, to be changed. */
  fullInterior(height: number): Interior {
    const interior = this.interior(height)
    interior.children.fill(FULL)
    interior.words.fill(0xffffffff, 0, INTERIOR_TOP + 1)
    interior.count = SPAN[height]
    return interior
  }
}
