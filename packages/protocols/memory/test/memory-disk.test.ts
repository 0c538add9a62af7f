import { isBlockError, MAX_IMAGE_SIZE } from '@blockloom/block-driver'
import { createMemoryDisk } from '@blockloom/protocol-memory'
import { describe, expect, test } from 'vitest'

const PAGE = 65536
const filled = (bytes: number, value: number) => new Uint8Array(bytes).fill(value)
const readBack = (disk: ReturnType<typeof createMemoryDisk>, offset: number, bytes: number) => {
  const into = filled(bytes, 0xee)
  disk.read(offset, into)
  return into
}

describe('a memory disk', () => {
  test('holds a copy of the bytes it is made from', () => {
    const bytes = Uint8Array.of(1, 2, 3)
    const disk = createMemoryDisk(bytes)
    bytes[0] = 9
    expect(disk.size).toBe(3)
    expect(disk.toBytes()).toEqual(Uint8Array.of(1, 2, 3))
  })

  test('costs memory only for pages that were written', () => {
    const disk = createMemoryDisk({ size: 1e12 })
    expect(disk.allocatedSize).toBe(0)
    disk.write(5e11, Uint8Array.of(1))
    expect(disk.allocatedSize).toBe(PAGE)
    disk.zero(0, 1e12)
    expect(disk.allocatedSize).toBe(0)
    expect(disk.size).toBe(1e12)
  })

  test('reads zeroes past its end and grows when written there', () => {
    const disk = createMemoryDisk({ size: 10 })
    disk.write(8, filled(4, 7))
    expect(disk.size).toBe(12)
    expect(readBack(disk, 6, 8)).toEqual(Uint8Array.of(0, 0, 7, 7, 7, 7, 0, 0))
  })

  test('forgets what a resize cut off', () => {
    const disk = createMemoryDisk(filled(3 * PAGE, 5))
    disk.resize(PAGE + 1)
    disk.resize(3 * PAGE)
    expect(disk.toBytes()).toEqual(new Uint8Array([...filled(PAGE + 1, 5), ...filled(2 * PAGE - 1, 0)]))
    expect(disk.allocatedSize).toBe(2 * PAGE)
  })

  test.each([[-1, 'invalid'], [1.5, 'invalid'], [NaN, 'invalid'], [MAX_IMAGE_SIZE + 1, 'range']] as const)('refuses a size of %d', (size, code) => {
    expect(() => createMemoryDisk({ size })).toThrow(expect.toSatisfy((e) => isBlockError(e, code)) as never)
  })

  test('tells runs that are stored from runs that are not', () => {
    const disk = createMemoryDisk({ size: 1e12 })
    disk.write(2 * PAGE, filled(2 * PAGE, 1))
    disk.write(9 * PAGE, filled(1, 1))
    const runs = []
    for (let at = 100; at < 1e12;) {
      const run = disk.run(at, 1e12 - at)
      runs.push([run.stored, run.bytes])
      at += run.bytes
    }
    expect(runs).toEqual([[false, 2 * PAGE - 100], [true, 2 * PAGE], [false, 5 * PAGE], [true, PAGE], [false, 1e12 - 10 * PAGE]])
  })

  test('agrees with a plain array over random operations', () => {
    const seed = Math.floor(Math.random() * 2 ** 31)
    let state = seed
    const random = (below: number) => (state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff) % below
    const disk = createMemoryDisk({ size: 5 * PAGE + 77 })
    let model = new Uint8Array(disk.size)
    for (let step = 0; step < 400; step++) {
      const offset = random(model.length + 1)
      const bytes = random(Math.min(3 * PAGE, model.length - offset) + 1)
      const action = random(10)
      if (action < 5) {
        const data = filled(bytes, 1 + random(255))
        disk.write(offset, data)
        model.set(data, offset)
      } else if (action < 9) {
        disk.zero(offset, bytes)
        model.fill(0, offset, offset + bytes)
      } else {
        const size = 1 + random(8 * PAGE)
        disk.resize(size)
        const next = new Uint8Array(size)
        next.set(model.subarray(0, size))
        model = next
      }
      const at = random(model.length)
      const want = model.slice(at, at + PAGE + 3)
      expect(Buffer.compare(readBack(disk, at, want.length), want), `seed ${seed}, step ${step}`).toBe(0)
    }
    for (let at = 0; at < model.length;) {
      const run = disk.run(at, model.length - at)
      if (!run.stored) expect(model.subarray(at, at + run.bytes).every((b) => b === 0), `seed ${seed}`).toBe(true)
      at += run.bytes
    }
  })
})
