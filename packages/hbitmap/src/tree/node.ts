/** Granules below one leaf: three levels of 32-bit words, 32 ^ 3. @internal */
export const LEAF_BITS = 32768

/** Words of a leaf that hold one bit for each granule. @internal */
export const LEAF_WORDS = LEAF_BITS / 32

/** Where, in a leaf's words, the level begins that has one bit for each of the words above. @internal */
export const LEAF_LEVEL_1 = LEAF_BITS / 32

/** The single word on top of a leaf. @internal */
export const LEAF_LEVEL_2 = LEAF_LEVEL_1 + 32

/** Children of an interior node: two levels of 32-bit words, 32 ^ 2. @internal */
export const FANOUT = 1024

/** The single word on top of an interior node's 32 words. @internal */
export const INTERIOR_TOP = FANOUT / 32

/** Granules below a node of each height; the last is beyond any safe integer, so nothing is higher. @internal */
export const SPAN: readonly number[] = [2 ** 15, 2 ** 25, 2 ** 35, 2 ** 45, 2 ** 55]

/** Three levels of the bitmap: 1024 words of granules, 32 words and 1 word that say which are not zero. @internal */
export class Leaf {
  /** Granules that are set. */
  count = 0
  readonly words = new Uint32Array(LEAF_LEVEL_2 + 1)
}

/** Two levels of the bitmap: 32 words that say which children have anything set, and 1 word above. @internal */
export class Interior {
  /** Granules that are set below. */
  count = 0
  readonly words = new Uint32Array(INTERIOR_TOP + 1)
  readonly children: Node[] = new Array<Node>(FANOUT).fill(null)
}

/** A node all of whose granules are set, whatever its height. It takes no memory of its own. @internal */
export const FULL = Object.freeze({ full: true as const })

/** Part of the bitmap: nothing set (`null`), everything set ({@link FULL}), or something between. @internal */
export type Node = Leaf | Interior | typeof FULL | null

/** Granules that are set below `node`, which stands at `height`. @internal */
export function countOf(node: Node, height: number): number {
  if (node === null) return 0
  return node === FULL ? SPAN[height] : (node as Leaf | Interior).count
}
