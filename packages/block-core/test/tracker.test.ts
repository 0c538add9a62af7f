import { describe, expect, test } from 'vitest'
import { RequestTracker } from '../src/request/tracker.ts'

const turn = () => new Promise((r) => setImmediate(r))

describe('serialising requests', () => {
  test('overlapping requests wait, others do not; plain ones ignore each other', async () => {
    const tracker = new RequestTracker()
    const order: string[] = []
    const a = tracker.begin('write', 100, 50)
    await tracker.serialise(a, 512)
    const b = tracker.begin('read', 500, 10)
    const c = tracker.begin('read', 512, 10)
    void tracker.wait(b).then(() => order.push('b'))
    void tracker.wait(c).then(() => order.push('c'))
    await turn()
    expect(order).toEqual(['c'])
    tracker.end(a)
    await turn()
    expect(order).toEqual(['c', 'b'])
  })

  test('waiting requests go on in the order they came', async () => {
    const tracker = new RequestTracker()
    const order: number[] = []
    const requests = Array.from({ length: 6 }, () => tracker.begin('write', 0, 1))
    for (const [i, request] of requests.entries()) {
      void tracker.serialise(request, 512).then(async () => {
        order.push(i)
        await turn()
        tracker.end(request)
      })
    }
    while (tracker.size > 0) await turn()
    expect(order).toEqual([0, 1, 2, 3, 4, 5])
  })

  test('two that come to wait for each other do not hang', async () => {
    const tracker = new RequestTracker()
    const a = tracker.begin('write', 0, 10)
    const b = tracker.begin('write', 5, 10)
    await Promise.all([tracker.wait(a), tracker.wait(b)])
    // Both are under way before either turns serialising.
    const order: string[] = []
    const first = tracker.serialise(a, 1).then(() => { order.push('a'); tracker.end(a) })
    const second = tracker.serialise(b, 1).then(() => { order.push('b'); tracker.end(b) })
    await Promise.all([first, second])
    expect(order).toEqual(['b', 'a'])
  })

  test('a request issued on behalf of a serialising one does not wait for it', async () => {
    const tracker = new RequestTracker()
    const outer = tracker.begin('write', 0, 10)
    await tracker.serialise(outer, 512)
    const inner = tracker.begin('read', 0, 10, outer)
    await tracker.wait(inner)
    const other = tracker.begin('write', 0, 10)
    let went = false
    void tracker.serialise(other, 512).then(() => { went = true })
    await turn()
    expect(went).toBe(false)
    tracker.end(inner)
    tracker.end(outer)
    await turn()
    expect(went).toBe(true)
  })
})
