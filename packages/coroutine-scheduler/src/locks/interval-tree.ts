/** A non-empty half-open interval [start, end) that can be in one {@link IntervalTree} at a time. @internal */
export class IntervalNode {
  readonly start: number
  readonly end: number
  /** Breaks ties between equal starts; unique within a tree. */
  readonly order: number
  priority = 0
  subtreeEnd = 0
  left: this | undefined
  right: this | undefined

  constructor(start: number, end: number, order: number) {
    this.start = start
    this.end = end
    this.order = order
  }
}

/**
 * Intervals that may overlap, as a treap by start that knows the largest end of each subtree.
 *
 * Insert and remove take O(log n); queries O(log n) plus the hits. Depth is logarithmic with overwhelming
 * probability for any input, because the priorities cannot be foreseen.
 *
 * @internal
 */
export class IntervalTree<N extends IntervalNode> {
  #root: N | undefined
  size = 0

  insert(node: N): void {
    // Unpredictable on purpose: a guest that chooses offsets must not be able to choose the tree's shape. The shape
    // never shows in results, so simulations stay deterministic.
    node.priority = Math.random()
    node.subtreeEnd = node.end
    node.left = undefined
    node.right = undefined
    this.#root = insertBelow(this.#root, node)
    this.size++
  }

  /** The node must be in this tree. */
  remove(node: N): void {
    this.#root = removeBelow(this.#root, node)
    this.size--
  }

  /** How many intervals share at least one byte with [start, end). */
  countOverlaps(start: number, end: number): number {
    return countBelow(this.#root, start, end)
  }

  /** Whether any interval shares a byte with [start, end). */
  hasOverlap(start: number, end: number): boolean {
    // If the left subtree reaches past `start` but holds no overlap, all of its candidates start at `end` or later,
    // and so does everything to the right: one path suffices.
    let node = this.#root
    while (node !== undefined) {
      if (node.start < end && node.end > start) return true
      node = node.left !== undefined && node.left.subtreeEnd > start ? node.left : node.right
    }
    return false
  }

  /** Appends all intervals that share a byte with [start, end), by start. */
  collectOverlaps(start: number, end: number, into: N[]): void {
    collectBelow(this.#root, start, end, into)
  }
}

function insertBelow<N extends IntervalNode>(root: N | undefined, node: N): N {
  if (root === undefined) return node
  if (isBefore(node, root)) {
    root.left = insertBelow(root.left, node)
    return root.left.priority < root.priority ? rotateRight(root) : measured(root)
  }
  root.right = insertBelow(root.right, node)
  return root.right.priority < root.priority ? rotateLeft(root) : measured(root)
}

function removeBelow<N extends IntervalNode>(root: N | undefined, node: N): N | undefined {
  if (root === undefined) return undefined
  if (root === node) return merged(root.left, root.right)
  if (isBefore(node, root)) root.left = removeBelow(root.left, node)
  else root.right = removeBelow(root.right, node)
  return measured(root)
}

function merged<N extends IntervalNode>(left: N | undefined, right: N | undefined): N | undefined {
  if (left === undefined) return right
  if (right === undefined) return left
  if (left.priority < right.priority) {
    left.right = merged(left.right, right)
    return measured(left)
  }
  right.left = merged(left, right.left)
  return measured(right)
}

function rotateRight<N extends IntervalNode>(root: N): N {
  const top: N = root.left!
  root.left = top.right
  top.right = measured(root)
  return measured(top)
}

function rotateLeft<N extends IntervalNode>(root: N): N {
  const top: N = root.right!
  root.right = top.left
  top.left = measured(root)
  return measured(top)
}

function measured<N extends IntervalNode>(node: N): N {
  let end = node.end
  if (node.left !== undefined && node.left.subtreeEnd > end) end = node.left.subtreeEnd
  if (node.right !== undefined && node.right.subtreeEnd > end) end = node.right.subtreeEnd
  node.subtreeEnd = end
  return node
}

function isBefore(a: IntervalNode, b: IntervalNode): boolean {
  return a.start < b.start || (a.start === b.start && a.order < b.order)
}

function countBelow<N extends IntervalNode>(root: N | undefined, start: number, end: number): number {
  if (root === undefined || root.subtreeEnd <= start) return 0
  const left = countBelow(root.left, start, end)
  if (root.start >= end) return left
  return left + (root.end > start ? 1 : 0) + countBelow(root.right, start, end)
}

function collectBelow<N extends IntervalNode>(root: N | undefined, start: number, end: number, into: N[]): void {
  if (root === undefined || root.subtreeEnd <= start) return
  collectBelow(root.left, start, end, into)
  if (root.start >= end) return
  if (root.end > start) into.push(root)
  collectBelow(root.right, start, end, into)
}
