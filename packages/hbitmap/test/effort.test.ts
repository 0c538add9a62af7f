import { describe, expect, it } from 'vitest'
import { HBitmap } from '../src/index.ts'
import { BitTree } from '../src/tree/bit-tree.ts'

/** 16 TiB at 64 KiB. */
const BITS = 2 ** 28

/** Nodes that `act` looks at. */
function visits(tree: BitTree, act: () => void): number {
  const before = tree.arena.visits
  act()
  return tree.arena.visits - before
}

describe('effort follows what is set, not the size', () => {
  it.each([2 ** 20, BITS, 2 ** 37, 2 ** 53 - 1])('one dirty granule of %d is found and counted in a few steps', (length) => {
    const tree = new BitTree(length)
    const last = length - 1
    expect(visits(tree, () => { tree.set(last, length) })).toBeLessThanOrEqual(5)
    expect(visits(tree, () => { expect(tree.nextSet(0, length)).toBe(last) })).toBeLessThanOrEqual(10)
    expect(visits(tree, () => { expect(tree.count).toBe(1) })).toBe(0)
    expect(visits(tree, () => { tree.reset(0, length) })).toBeLessThanOrEqual(5)
    expect(tree.wordBytes()).toBe(0)
  })

  it('iterating over n granules, spread as wide as can be, takes steps in proportion to n', () => {
    const steps = (n: number): number => {
      const tree = new BitTree(BITS)
      for (let i = 0; i < n; i++) tree.set(i * (BITS / n), i * (BITS / n) + 1)
      let found = 0
      const effort = visits(tree, () => {
        for (let at = tree.nextSet(0, BITS); at >= 0; at = tree.nextSet(at + 1, BITS)) found++
      })
      expect(found).toBe(n)
      return effort
    }
    expect(steps(1)).toBeLessThanOrEqual(20)
    expect(steps(4096)).toBeLessThanOrEqual(4096 * 6)
  })

  it('setting and clearing all 8 PiB, and single granules of it, touches a handful of nodes', () => {
    const length = 2 ** 37 + 12345
    const tree = new BitTree(length)
    expect(visits(tree, () => { tree.set(0, length) })).toBeLessThanOrEqual(1 + 1024 + 1024 + 1024)
    expect(tree.count).toBe(length)
    expect(tree.wordBytes()).toBeLessThan(20_000)
    expect(visits(tree, () => { tree.reset(2 ** 36, 2 ** 36 + 1) })).toBeLessThanOrEqual(5)
    expect(visits(tree, () => { expect(tree.nextUnset(0, length)).toBe(2 ** 36) })).toBeLessThanOrEqual(10)
    expect(visits(tree, () => { tree.set(2 ** 36, 2 ** 36 + 1) })).toBeLessThanOrEqual(5)
    expect(visits(tree, () => { tree.clear() })).toBe(0)
    expect(tree.wordBytes()).toBe(0)
  })

  it('copying and merging visit what is set', () => {
    const tree = new BitTree(2 ** 40)
    for (let i = 0; i < 100; i++) tree.set(i * 2 ** 33, i * 2 ** 33 + 1)
    const other = new BitTree(2 ** 40)
    expect(visits(tree, () => { tree.copy() })).toBeLessThanOrEqual(100 * 5)
    expect(visits(other, () => { other.merge(tree) })).toBeLessThanOrEqual(100 * 5)
    expect(other.count).toBe(100)
  })

  it('a granule that is dirtied and cleaned in turn uses the same nodes each time', () => {
    const tree = new BitTree(BITS)
    const spares = (): unknown[] => {
      const { arena } = tree
      const taken = [arena.leaf(), arena.interior(1), arena.interior(2)] as const
      arena.emptiedLeaf(taken[0])
      arena.emptiedInterior(taken[1], 1)
      arena.emptiedInterior(taken[2], 2)
      return [...taken]
    }
    tree.set(5, 6)
    tree.reset(5, 6)
    const before = spares()
    for (let i = 0; i < 100; i++) {
      tree.set(i * 2 ** 21, i * 2 ** 21 + 1)
      tree.reset(i * 2 ** 21, i * 2 ** 21 + 1)
    }
    spares().forEach((node, i) => { expect(node).toBe(before[i]) })
    expect(tree.wordBytes()).toBe(0)
  })
})

describe('memory', () => {
  it('is none at creation, little for one granule, none for all of them', () => {
    for (const size of [2 ** 44, Number.MAX_SAFE_INTEGER]) {
      const bitmap = new HBitmap({ size, granularity: 65536 })
      expect(bitmap.memoryUsage()).toBe(0)
      bitmap.set(2 ** 43, 1)
      expect(bitmap.memoryUsage()).toBeLessThan(5000)
      bitmap.setAll()
      expect(bitmap.memoryUsage()).toBeLessThan(5000)
      bitmap.clear()
      expect(bitmap.memoryUsage()).toBe(0)
    }
  })

  it('is given back when everything is dirty or clean, however it came to be so', () => {
    const bitmap = new HBitmap({ size: 65536 * 512, granularity: 512 })
    for (let i = 1; i < 65536; i += 2) bitmap.set(i * 512, 512)
    expect(bitmap.memoryUsage()).toBeGreaterThan(8000)
    for (let i = 0; i < 65536; i += 2) bitmap.set(i * 512, 512)
    expect(bitmap.count).toBe(65536)
    expect(bitmap.memoryUsage()).toBeLessThan(200)
    for (let i = 0; i < 65536; i++) bitmap.reset(i * 512, 512)
    expect(bitmap.memoryUsage()).toBe(0)
  })

  it('is at most a bit for each granule, 1/31 of that, and a partly used node, however unlucky the pattern', () => {
    const bitmap = new HBitmap({ size: 2 ** 44, granularity: 65536 })
    const part = new Uint8Array(2 ** 20).fill(0x55)
    const step = part.length * 8 * 65536
    for (let offset = 0; offset < bitmap.size; offset += step) bitmap.deserializePart(offset, step, part)
    expect(bitmap.count).toBe(BITS / 2)
    expect(bitmap.memoryUsage()).toBeGreaterThan(BITS / 8)
    expect(bitmap.memoryUsage()).toBeLessThanOrEqual((BITS / 8) * (1 + 1 / 31) + 132)
    bitmap.set(0, bitmap.size)
    expect(bitmap.memoryUsage()).toBeLessThan(5000)
  })
})
