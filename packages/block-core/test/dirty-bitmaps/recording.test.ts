import { RequestFlag } from '@blockloom/block-driver'
import { describe, expect, test } from 'vitest'
import { BitmapDisk } from './bitmap-disk.ts'

const SIZE = 64 * 1024
const data = (bytes: number, fill = 7): Uint8Array => new Uint8Array(bytes).fill(fill)

describe('an enabled bitmap records', () => {
  test.each([
    ['a write', (n: Node) => n.write(1000, data(100)), [{ offset: 512, bytes: 1024 }]],
    ['a long write', (n: Node) => n.write(0, data(SIZE)), [{ offset: 0, bytes: SIZE }]],
    ['an empty write: nothing', (n: Node) => n.write(0, data(0)), []],
    ['zeroes', (n: Node) => n.zero(4096, 512), [{ offset: 4096, bytes: 512 }]],
    ['a discard', (n: Node) => n.discard(512, 512), [{ offset: 512, bytes: 512 }]],
    ['a compressed write', (n: Node) => n.writeCompressed(4096, data(4096)), [{ offset: 4096, bytes: 4096 }]],
    ['a write that changes nothing for a reader', (n: Node) => n.write(0, data(512), RequestFlag.WRITE_UNCHANGED), [{ offset: 0, bytes: 512 }]],
    ['a read: nothing', (n: Node) => n.read(0, data(512)), []],
    ['a flush: nothing', (n: Node) => n.flush(), []],
  ])('%s', async (_what, act, wanted) => {
    const node = await new BitmapDisk(SIZE).open()
    const bitmap = node.dirtyBitmaps.add({ name: 'b', granularity: 512 })
    await act(node)
    expect([...bitmap.dirtyAreas()]).toEqual(wanted)
    expect(bitmap.dirtyBytes).toBe(wanted.reduce((sum, { bytes }) => sum + bytes, 0))
  })

  test('requests that fail, because they may have changed something', async () => {
    const disk = new BitmapDisk(SIZE)
    const node = await disk.open()
    const bitmap = node.dirtyBitmaps.add({ name: 'b', granularity: 512 })
    disk.before = () => Promise.reject(new Error('no'))
    await expect(node.write(0, data(512))).rejects.toThrow('no')
    await expect(node.zero(1024, 512)).rejects.toThrow('no')
    await expect(node.discard(2048, 512)).rejects.toThrow('no')
    await expect(node.writeCompressed(4096, data(4096))).rejects.toThrow('no')
    expect([...bitmap.dirtyAreas()].map(({ offset }) => offset)).toEqual([0, 1024, 2048, 4096])
  })

  test('zeroes that are detected, and unaligned writes', async () => {
    const node = await new BitmapDisk(SIZE, { requestAlignment: 4096 }).open({ spec: { 'detect-zeroes': 'on' } })
    const bitmap = node.dirtyBitmaps.add({ name: 'b', granularity: 512 })
    await node.write(8192, data(4096, 0))
    await node.write(600, data(10))
    expect([...bitmap.dirtyAreas()]).toEqual([{ offset: 512, bytes: 512 }, { offset: 8192, bytes: 4096 }])
  })

  test('no discard that goes nowhere', async () => {
    const node = await new BitmapDisk(SIZE).open({ spec: { discard: 'ignore' } })
    const bitmap = node.dirtyBitmaps.add({ name: 'b' })
    await node.discard(0, SIZE)
    expect(bitmap.isEmpty).toBe(true)
  })

  test('when the request ends, so that a bit that was cleared meanwhile is set again', async () => {
    const disk = new BitmapDisk(SIZE)
    const node = await disk.open()
    const bitmap = node.dirtyBitmaps.add({ name: 'b', granularity: 512 })
    let go = (): void => {}
    disk.before = () => new Promise((resolve) => (go = resolve))
    const written = node.write(0, data(512))
    await Promise.resolve()
    expect(bitmap.isEmpty).toBe(true)
    bitmap.clear()
    go()
    await written
    expect(bitmap.dirtyBytes).toBe(512)
  })
})

test('a disabled bitmap records nothing, and goes on where it stopped', async () => {
  const node = await new BitmapDisk(SIZE).open()
  const bitmap = node.dirtyBitmaps.add({ name: 'b', granularity: 512, enabled: false })
  const other = node.dirtyBitmaps.add({ name: 'c', granularity: 4096 })
  await node.write(0, data(512))
  bitmap.enable()
  await node.write(1024, data(512))
  bitmap.disable()
  await node.write(2048, data(512))
  expect([...bitmap.dirtyAreas()]).toEqual([{ offset: 1024, bytes: 512 }])
  expect([...other.dirtyAreas()]).toEqual([{ offset: 0, bytes: 4096 }])
})

test('a bitmap without a name is in no list, and records', async () => {
  const node = await new BitmapDisk(SIZE).open()
  const bitmap = node.dirtyBitmaps.add({ granularity: 512 })
  expect(node.dirtyBitmaps.list).toEqual([])
  expect(node.dirtyBitmaps.find('')).toBeUndefined()
  await node.write(0, data(1))
  expect(bitmap.count).toBe(1)
  await node.dirtyBitmaps.remove(bitmap)
  await node.write(1024, data(1))
  expect(() => bitmap.clear()).toThrow("Dirty bitmap '' not found")
})

test('resizing forgets what is cut off, and adds clean bytes', async () => {
  const node = await new BitmapDisk(SIZE).open()
  const bitmap = node.dirtyBitmaps.add({ name: 'b', granularity: 512, enabled: false })
  bitmap.set(0, SIZE)
  await node.resize(1000)
  expect(bitmap.size).toBe(1000)
  expect(bitmap.dirtyBytes).toBe(1000)
  await node.resize(SIZE)
  expect([...bitmap.dirtyAreas()]).toEqual([{ offset: 0, bytes: 1024 }])
  const added = node.dirtyBitmaps.add({ name: 'after' })
  expect(added.size).toBe(SIZE)
})

test('the contents can be asked in several ways', async () => {
  const node = await new BitmapDisk(SIZE).open()
  const bitmap = node.dirtyBitmaps.add({ name: 'b', granularity: 512 })
  bitmap.set(1024, 1024)
  bitmap.set(8192, 512)
  bitmap.reset(1024, 512)
  expect(bitmap.get(1100)).toBe(false)
  expect(bitmap.status(1536, 4096)).toEqual({ dirty: true, bytes: 512 })
  expect(bitmap.nextDirty(0)).toBe(1536)
  expect(bitmap.nextDirty(2048, 100)).toBeNull()
  expect(bitmap.nextClean(1536)).toBe(2048)
  expect(bitmap.nextDirtyArea(2048)).toEqual({ offset: 8192, bytes: 512 })
  expect(bitmap.nextDirtyArea(0, 4096, 100)).toEqual({ offset: 1536, bytes: 100 })
  expect(bitmap.count).toBe(2)
  expect(() => bitmap.set(SIZE, 1)).toThrow(RangeError)
})

describe('freezing', () => {
  async function frozen() {
    const node = await new BitmapDisk(SIZE).open()
    const bitmap = node.dirtyBitmaps.add({ name: 'b', granularity: 512 })
    await node.write(0, data(512))
    const bits = bitmap.freeze()
    await node.write(4096, data(512))
    return { node, bitmap, bits }
  }

  test('sets contents aside and goes on recording', async () => {
    const { bitmap, bits } = await frozen()
    expect(bitmap.busy).toBe(true)
    expect(bits.dirtyBytes).toBe(512)
    expect(bits.nextDirtyArea(0)).toEqual({ offset: 0, bytes: 512 })
    expect([...bits.dirtyAreas()]).toEqual([{ offset: 0, bytes: 512 }])
    expect([...bitmap.dirtyAreas()]).toEqual([{ offset: 4096, bytes: 512 }])
  })

  test('dropped: only what came since is left', async () => {
    const { bitmap, bits } = await frozen()
    bits.drop()
    expect(bitmap.busy).toBe(false)
    expect([...bitmap.dirtyAreas()]).toEqual([{ offset: 4096, bytes: 512 }])
    expect(() => bits.restore()).toThrow('dropped or restored before')
  })

  test('restored: as if nothing had been', async () => {
    const { node, bitmap, bits } = await frozen()
    await node.write(8192, data(512))
    bits.restore()
    expect([...bitmap.dirtyAreas()].map(({ offset }) => offset)).toEqual([0, 4096, 8192])
  })

  test('the disk may change its size meanwhile, if the bitmap has no name', async () => {
    const node = await new BitmapDisk(SIZE).open()
    const bitmap = node.dirtyBitmaps.add({ granularity: 512 })
    await node.write(0, data(SIZE))
    const bits = bitmap.freeze()
    await node.resize(1024)
    await node.resize(4096)
    expect(bits.dirtyBytes).toBe(1024)
    bits.restore()
    expect([...bitmap.dirtyAreas()]).toEqual([{ offset: 0, bytes: 1024 }])
  })

  test('nobody else changes it meanwhile', async () => {
    const { node, bitmap } = await frozen()
    const other = node.dirtyBitmaps.add({ name: 'other' })
    const busy = { code: 'busy', message: "Bitmap 'b' is currently in use by another operation and cannot be used" }
    for (const act of [() => bitmap.clear(), () => bitmap.enable(), () => bitmap.disable(), () => bitmap.set(0, 1), () => bitmap.freeze()]) {
      expect(act).toThrow(expect.objectContaining(busy))
    }
    await expect(node.dirtyBitmaps.remove(bitmap)).rejects.toMatchObject(busy)
    await expect(node.dirtyBitmaps.merge(bitmap, [other])).rejects.toMatchObject(busy)
    await expect(node.dirtyBitmaps.merge(other, [bitmap])).rejects.toMatchObject(busy)
    await expect(node.resize(1024)).rejects.toMatchObject(busy)
  })
})

type Node = Awaited<ReturnType<BitmapDisk['open']>>
