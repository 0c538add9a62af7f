import { expect, it } from 'vitest'
import { IntervalNode, IntervalTree } from '../src/locks/interval-tree.ts'
import { createRandom } from '../src/index.ts'
import { seeds } from './interleaving.ts'

it.each(seeds(40))('answers like a plain list (seed %i)', (seed) => {
  const random = createRandom(seed)
  const tree = new IntervalTree<IntervalNode>()
  const list: IntervalNode[] = []
  for (let i = 0; i < 600; i++) {
    if (random.chance(0.6) || list.length === 0) {
      const start = random.below(200)
      const node = new IntervalNode(start, start + random.between(1, random.chance(0.1) ? 150 : 8), i)
      tree.insert(node)
      list.push(node)
    } else {
      tree.remove(list.splice(random.below(list.length), 1)[0]!)
    }
    const start = random.below(220)
    const end = start + random.between(1, 20)
    const hits = list.filter((node) => node.start < end && node.end > start)
    hits.sort((a, b) => a.start - b.start || a.order - b.order)
    const found: IntervalNode[] = []
    tree.collectOverlaps(start, end, found)
    expect(found.map((node) => node.order), `seed ${seed}, step ${i}`).toEqual(hits.map((node) => node.order))
    expect(tree.countOverlaps(start, end)).toBe(hits.length)
    expect(tree.hasOverlap(start, end)).toBe(hits.length > 0)
    expect(tree.size).toBe(list.length)
  }
})

it('stays shallow for sorted input', () => {
  const tree = new IntervalTree<IntervalNode>()
  const nodes = Array.from({ length: 50_000 }, (_, i) => new IntervalNode(i, i + 1, i))
  for (const node of nodes) tree.insert(node)
  const depth = (node: IntervalNode | undefined): number =>
    node === undefined ? 0 : 1 + Math.max(depth(node.left), depth(node.right))
  const root = nodes.reduce((top, node) => (node.priority < top.priority ? node : top))
  expect(depth(root)).toBeLessThan(100)
})
