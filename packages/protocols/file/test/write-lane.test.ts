import { describe, expect, test } from 'vitest'
import { WriteLane } from '../src/io/write-lane.ts'

describe('long writes to one file', () => {
  test.each([1, 3])('go through in order, at most %i at a time', async (width) => {
    const lane = new WriteLane(width)
    const order: number[] = []
    let running = 0
    let most = 0
    await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        lane.run(async () => {
          order.push(i)
          most = Math.max(most, ++running)
          await new Promise((resolve) => setImmediate(resolve))
          running--
        }),
      ),
    )
    expect(order).toEqual(Array.from({ length: 20 }, (_, i) => i))
    expect(most).toBe(width)
  })

  test('one that fails is reported to its caller, and lets the next one through', async () => {
    const lane = new WriteLane(1)
    const results = await Promise.allSettled([lane.run(() => Promise.reject(new Error('ENOSPC'))), lane.run(async () => {})])
    expect(results.map((result) => result.status)).toEqual(['rejected', 'fulfilled'])
    await lane.run(async () => {})
  })
})
