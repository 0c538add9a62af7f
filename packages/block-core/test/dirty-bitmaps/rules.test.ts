import { describe, expect, test } from 'vitest'
import { BitmapDisk } from './bitmap-disk.ts'

const SIZE = 64 * 1024

describe('adding', () => {
  test.each([
    [{ name: '' }, 'invalid', 'Bitmap name cannot be empty'],
    [{ name: '\ud800' }, 'invalid', 'Bitmap name is not well-formed text'],
    [{ name: 'b'.repeat(1024) }, 'invalid', `Bitmap name too long: ${'b'.repeat(1024)}`],
    [{ name: 'ü'.repeat(512) }, 'invalid', `Bitmap name too long: ${'ü'.repeat(512)}`],
    [{ name: 'x', granularity: 256 }, 'invalid', 'Granularity must be power of 2 and at least 512'],
    [{ name: 'x', granularity: 513 }, 'invalid', 'Granularity must be power of 2 and at least 512'],
    [{ name: 'x', granularity: 2 ** 32 }, 'invalid', 'Granularity must be power of 2 and at least 512'],
    [{ name: 'x', granularity: 0 }, 'invalid', 'Granularity must be power of 2 and at least 512'],
    [{ name: 'x', granularity: Number.NaN }, 'invalid', 'Granularity must be power of 2 and at least 512'],
    [{ name: 'there', granularity: 1 }, 'invalid', 'Granularity must be power of 2 and at least 512'],
    [{ name: 'there' }, 'exists', 'Bitmap already exists: there'],
    [{ name: 'x', persistent: true, granularity: 2 ** 21 }, 'invalid', "Can't make bitmap 'x' persistent in 'disk': Granularity exceeds maximum (1048576 bytes)"],
    [{ persistent: true }, 'invalid', 'A persistent bitmap needs a name'],
  ])('%j is refused', async (bitmap, code, message) => {
    const node = await new BitmapDisk(SIZE).open()
    const there = node.dirtyBitmaps.add({ name: 'there' })
    expect(() => node.dirtyBitmaps.add(bitmap)).toThrow(expect.objectContaining({ code, message }))
    expect(node.dirtyBitmaps.list).toEqual([there])
  })

  test.each([512, 2 ** 31])('granularity %i is taken, and the longest name', async (granularity) => {
    const node = await new BitmapDisk(SIZE).open()
    const name = 'ü'.repeat(511) + 'x'
    expect(node.dirtyBitmaps.add({ name, granularity })).toMatchObject({ name, granularity, enabled: true, persistent: false, inconsistent: false, busy: false, loaded: true, size: SIZE })
  })

  test.each([
    [0, 65536],
    [512, 4096],
    [8192, 8192],
    [2 << 20, 65536],
  ])('clusters of %i bytes: default granularity %i', async (clusterSize, granularity) => {
    const node = await new BitmapDisk(SIZE, { clusterSize }).open()
    expect(node.dirtyBitmaps.add({ name: 'b' }).granularity).toBe(granularity)
  })

  test('persistent ones only where they can be stored', async () => {
    const readOnly = await new BitmapDisk(SIZE).open({ readOnly: true })
    expect(readOnly.dirtyBitmaps.storable).toBe(false)
    expect(() => readOnly.dirtyBitmaps.add({ name: 'b', persistent: true })).toThrow(expect.objectContaining({ code: 'read-only' }))
    const node = await new BitmapDisk(SIZE).open()
    expect(node.dirtyBitmaps.storable).toBe(true)
    await node.close()
    expect(() => node.dirtyBitmaps.add({ name: 'b' })).toThrow(expect.objectContaining({ code: 'closed' }))
  })
})

describe('merging', () => {
  async function three() {
    const node = await new BitmapDisk(SIZE).open()
    const fine = node.dirtyBitmaps.add({ name: 'fine', granularity: 512, enabled: false })
    const coarse = node.dirtyBitmaps.add({ name: 'coarse', granularity: 8192, enabled: false })
    const more = node.dirtyBitmaps.add({ name: 'more', granularity: 1024, enabled: false })
    fine.set(600, 10)
    coarse.set(16384, 1)
    more.set(40000, 1)
    return { node, fine, coarse, more }
  }

  test('rounds outward into coarser ones', async () => {
    const { node, coarse } = await three()
    await node.dirtyBitmaps.merge('coarse', ['fine', 'more'])
    expect([...coarse.dirtyAreas()]).toEqual([{ offset: 0, bytes: 8192 }, { offset: 16384, bytes: 8192 }, { offset: 32768, bytes: 8192 }])
  })

  test('is exact into finer ones, and with itself changes nothing', async () => {
    const { node, fine } = await three()
    await node.dirtyBitmaps.merge(fine, [fine, 'coarse'])
    expect([...fine.dirtyAreas()]).toEqual([{ offset: 512, bytes: 512 }, { offset: 16384, bytes: 8192 }])
  })

  test('takes bitmaps of another node, reading them if need be', async () => {
    const { node, fine } = await three()
    const other = new BitmapDisk(SIZE)
    other.put('stored', [0, 1, ...Array<number>(14).fill(0)])
    const source = await other.open({ readOnly: true })
    await node.dirtyBitmaps.merge('fine', [source.dirtyBitmaps.get('stored')])
    expect([...fine.dirtyAreas()]).toEqual([{ offset: 512, bytes: 512 }, { offset: 4096, bytes: 512 }])
  })

  test('is all or nothing', async () => {
    const { node, fine } = await three()
    const small = (await new BitmapDisk(512).open()).dirtyBitmaps.add({ name: 'small' })
    const before = [...fine.dirtyAreas()]
    await expect(node.dirtyBitmaps.merge('fine', ['coarse', 'nope'])).rejects.toMatchObject({ code: 'not-found', message: "Dirty bitmap 'nope' not found" })
    await expect(node.dirtyBitmaps.merge('fine', ['coarse', small])).rejects.toMatchObject({
      code: 'invalid',
      message: "Bitmaps are of different sizes (destination size is 65536, source size is 512) and can't be merged",
    })
    await expect(node.dirtyBitmaps.merge('nope', ['fine'])).rejects.toMatchObject({ code: 'not-found' })
    await expect(node.dirtyBitmaps.merge(small, ['fine'])).rejects.toMatchObject({ code: 'not-found' })
    expect([...fine.dirtyAreas()]).toEqual(before)
  })

  test('fails as a whole if a source is damaged', async () => {
    const { node, fine } = await three()
    const other = new BitmapDisk(SIZE)
    other.put('stored', Array<number>(16).fill(1))
    const source = await other.open({ readOnly: true })
    other.before = () => Promise.reject(new Error('damaged'))
    const before = [...fine.dirtyAreas()]
    await expect(node.dirtyBitmaps.merge('fine', ['coarse', source.dirtyBitmaps.get('stored')])).rejects.toThrow('damaged')
    expect([...fine.dirtyAreas()]).toEqual(before)
  })
})

test('finding and removing', async () => {
  const node = await new BitmapDisk(SIZE).open()
  const a = node.dirtyBitmaps.add({ name: 'a' })
  const b = node.dirtyBitmaps.add({ name: 'b' })
  expect([...node.dirtyBitmaps]).toEqual([a, b])
  expect(node.dirtyBitmaps.find('a')).toBe(a)
  expect(node.dirtyBitmaps.get('b')).toBe(b)
  expect(await node.dirtyBitmaps.load('b')).toBe(b)
  await node.dirtyBitmaps.remove('a')
  await node.dirtyBitmaps.remove(b)
  expect(node.dirtyBitmaps.list).toEqual([])
  expect(() => node.dirtyBitmaps.get('a')).toThrow("Dirty bitmap 'a' not found")
  await expect(node.dirtyBitmaps.remove('a')).rejects.toMatchObject({ code: 'not-found' })
  await expect(node.dirtyBitmaps.remove(a)).rejects.toMatchObject({ code: 'not-found' })
  expect(() => a.enable()).toThrow(expect.objectContaining({ code: 'not-found' }))
})

test('a node with bitmaps does not go back to a snapshot', async () => {
  const disk = new BitmapDisk(SIZE)
  const node = await disk.open()
  const bitmap = node.dirtyBitmaps.add({ name: 'b', enabled: false })
  await expect(node.snapshots!.revert!('x')).rejects.toMatchObject({ code: 'busy', message: 'Device has active dirty bitmaps' })
  expect(disk.bytes[0]).toBe(0)
  await node.dirtyBitmaps.remove(bitmap)
  await node.snapshots!.revert!('x')
  expect(disk.bytes[0]).toBe(9)
})
