import { BlockError } from '@blockloom/block-driver'
import { describe, expect, test } from 'vitest'
import { BitmapDisk } from './bitmap-disk.ts'

const SIZE = 64 * 1024
/** One bit for each 512 bytes of it. */
const NONE = Array<number>(16).fill(0)
const FIRST = [1, ...NONE.slice(1)]
const data = new Uint8Array(512).fill(7)

describe('opening for writing', () => {
  test('loads what is stored: those that are auto are enabled', async () => {
    const disk = new BitmapDisk(SIZE)
    disk.put('on', FIRST)
    disk.put('off', [0, 0x81, ...NONE.slice(2)], { auto: false })
    const node = await disk.open()
    const [on, off] = node.dirtyBitmaps.list
    expect(on).toMatchObject({ name: 'on', enabled: true, persistent: true, loaded: true, inconsistent: false })
    expect(off).toMatchObject({ name: 'off', enabled: false, persistent: true, loaded: true })
    expect([...on!.dirtyAreas()]).toEqual([{ offset: 0, bytes: 512 }])
    expect([...off!.dirtyAreas()]).toEqual([{ offset: 4096, bytes: 512 }, { offset: 7680, bytes: 512 }])
  })

  test('fails if one is damaged, and leaves nothing open', async () => {
    const disk = new BitmapDisk(SIZE)
    disk.put('on', FIRST)
    disk.before = (what) => (what === 'load on' ? Promise.reject(new Error('damaged')) : undefined)
    await expect(disk.open()).rejects.toThrow('damaged')
    expect(disk.log.at(-1)).toBe('close 0+0')
  })

  test('refuses more bits than memory should be given for', async () => {
    const disk = new BitmapDisk(SIZE)
    disk.bitmaps.set('huge', { granularity: 512, auto: true, inUse: false, bits: new Uint8Array(2 ** 20).fill(0x55) })
    disk.chunk = 2 ** 20
    disk.repeat = 1025
    await expect(disk.open()).rejects.toMatchObject({ code: 'unsupported' })
  })
})

test('a list that is damaged does no harm to who only reads the disk', async () => {
  const disk = new BitmapDisk(SIZE)
  disk.broken = new BlockError('corrupt', 'Broken bitmap directory')
  await expect(disk.open()).rejects.toThrow('Broken bitmap directory')
  const node = await disk.open({ readOnly: true })
  await node.read(0, new Uint8Array(512))
  const { dirtyBitmaps } = node
  for (const act of [() => dirtyBitmaps.list, () => dirtyBitmaps.find('x'), () => dirtyBitmaps.get('x'), () => [...dirtyBitmaps]]) expect(act).toThrow('Broken bitmap directory')
  await expect(dirtyBitmaps.load('x')).rejects.toThrow('Broken bitmap directory')
  expect(dirtyBitmaps.add({}).isEmpty).toBe(true)
  await node.close()
})

describe('closing', () => {
  test('stores nothing if nothing changed', async () => {
    const disk = new BitmapDisk(SIZE)
    disk.put('on', FIRST)
    const node = await disk.open()
    await node.read(0, new Uint8Array(512))
    await node.flush()
    await node.close()
    expect(disk.log).toEqual(['load on 0+0', 'read 0+512', 'close 0+0'])
  })

  test('stores what was recorded, in one step, before the last flush and the end', async () => {
    const disk = new BitmapDisk(SIZE)
    disk.put('on', FIRST)
    disk.put('off', FIRST, { auto: false })
    const node = await disk.open()
    node.dirtyBitmaps.add({ name: 'here', granularity: 512 })
    await node.write(4096, data)
    expect(disk.stored('on')?.inUse).toBe(true)
    await node.close()
    expect(disk.log.slice(-3)).toEqual(['store on, off off 0+0', 'flush 0+0', 'close 0+0'])
    expect(disk.stored('on')).toEqual({ auto: true, inUse: false, bits: [1, 1, ...NONE.slice(2)] })
    expect(disk.stored('off')).toEqual({ auto: false, inUse: false, bits: FIRST })
    expect(disk.stored('here')).toBeUndefined()
  })

  test.each([
    ['one was added', async (n: Node) => void n.dirtyBitmaps.add({ name: 'new', persistent: true, enabled: false }), 'store on, off off, new off 0+0'],
    ['one was enabled', async (n: Node) => n.dirtyBitmaps.get('off').enable(), 'store on, off 0+0'],
    ['one was disabled', async (n: Node) => n.dirtyBitmaps.get('on').disable(), 'store on off, off off 0+0'],
    ['one was cleared', async (n: Node) => n.dirtyBitmaps.get('off').clear(), 'store on, off off 0+0'],
    ['one was merged into', (n: Node) => n.dirtyBitmaps.merge('off', ['on']), 'store on, off off 0+0'],
    ['the size changed', (n: Node) => n.resize(1024), 'store on, off off 0+0'],
    ['a write failed', (n: Node) => n.write(0, data), 'store on, off off 0+0'],
    ['it was repaired', (n: Node) => n.check!.check({ fix: 'errors' }), 'store on, off off 0+0'],
  ])('stores if %s', async (_why, act, wanted) => {
    const disk = new BitmapDisk(SIZE)
    disk.put('on', FIRST)
    disk.put('off', FIRST, { auto: false })
    const node = await disk.open()
    if (_why === 'a write failed') disk.before = (what) => (what === 'write' ? Promise.reject(new Error('no')) : undefined)
    await act(node)?.catch(() => {})
    await node.close()
    expect(disk.log).toContain(wanted)
    expect([...disk.bitmaps.values()].every(({ inUse }) => !inUse)).toBe(true)
  })

  test('stores again what is only disabled, because writing has made the image distrust it', async () => {
    const disk = new BitmapDisk(SIZE)
    disk.put('off', FIRST, { auto: false })
    const node = await disk.open()
    await node.write(0, data)
    expect(disk.stored('off')?.inUse).toBe(true)
    await node.close()
    expect(disk.stored('off')).toEqual({ auto: false, inUse: false, bits: FIRST })
  })

  test('stores what an operation has set aside', async () => {
    const disk = new BitmapDisk(SIZE)
    disk.put('on', FIRST)
    const node = await disk.open()
    node.dirtyBitmaps.get('on').freeze()
    await node.write(4096, data)
    await node.close()
    expect(disk.stored('on')?.bits).toEqual([1, 1, ...NONE.slice(2)])
  })

  test('says so if it fails, and closes all the same', async () => {
    const disk = new BitmapDisk(SIZE)
    disk.put('on', NONE)
    const node = await disk.open()
    await node.write(0, data)
    disk.before = (what) => (what.startsWith('store') ? Promise.reject(new BlockError('no-space', 'No space left on device')) : undefined)
    await expect(node.close()).rejects.toMatchObject({
      code: 'no-space',
      message: "Lost persistent bitmaps during inactivation of node 'disk': No space left on device",
    })
    expect(disk.log.at(-1)).toBe('close 0+0')
    expect(node.closed).toBe(true)
    expect(disk.stored('on')?.inUse).toBe(true)
  })

  test('granules that do not fill the last byte', async () => {
    const disk = new BitmapDisk(3 * 512 + 1)
    const node = await disk.open()
    const bitmap = node.dirtyBitmaps.add({ name: 'b', persistent: true, granularity: 512 })
    await node.write(3 * 512, new Uint8Array(1))
    expect(bitmap.dirtyBytes).toBe(1)
    await node.close()
    expect(disk.stored('b')?.bits).toEqual([8])
    const again = await disk.open()
    expect([...again.dirtyBitmaps.get('b').dirtyAreas()]).toEqual([{ offset: 1536, bytes: 1 }])
  })
})

describe('after a crash', () => {
  const crashed = async (): Promise<BitmapDisk> => {
    const disk = new BitmapDisk(SIZE)
    disk.put('on', FIRST)
    const node = await disk.open()
    await node.write(0, data)
    return disk
  }

  test('bitmaps are listed as inconsistent, and can only be removed', async () => {
    const disk = await crashed()
    const node = await disk.open()
    const bitmap = node.dirtyBitmaps.get('on')
    const other = node.dirtyBitmaps.add({ name: 'other' })
    expect(bitmap).toMatchObject({ inconsistent: true, loaded: false })
    const refused = { code: 'corrupt', message: "Bitmap 'on' is inconsistent and cannot be used", detail: { hint: 'Try block-dirty-bitmap-remove to delete this bitmap from disk' } }
    for (const act of [() => bitmap.clear(), () => bitmap.enable(), () => bitmap.disable(), () => bitmap.set(0, 1), () => bitmap.get(0), () => bitmap.dirtyBytes, () => bitmap.freeze()]) {
      expect(act).toThrow(expect.objectContaining({ ...refused, detail: expect.objectContaining(refused.detail) }))
    }
    await expect(bitmap.load()).rejects.toMatchObject(refused)
    await expect(node.dirtyBitmaps.merge('other', ['on'])).rejects.toMatchObject(refused)
    await expect(node.dirtyBitmaps.merge('on', [other])).rejects.toMatchObject(refused)
    await expect(node.resize(1024)).rejects.toMatchObject(refused)
    await node.write(0, data)
    await node.dirtyBitmaps.remove('on')
    await node.resize(1024)
    await node.close()
    expect(disk.bitmaps.size).toBe(0)
  })

  test('they stay as they are when nobody removes them, and others are stored', async () => {
    const disk = await crashed()
    const node = await disk.open()
    node.dirtyBitmaps.add({ name: 'new', persistent: true, granularity: 512 })
    await node.write(0, data)
    await node.close()
    expect(disk.stored('on')).toMatchObject({ inUse: true, bits: FIRST })
    expect(disk.stored('new')).toMatchObject({ inUse: false, bits: FIRST })
  })
})

describe('a read-only node', () => {
  test('lists bitmaps, and loads one when it is asked for', async () => {
    const disk = new BitmapDisk(SIZE)
    disk.put('on', FIRST)
    disk.put('other', NONE)
    const node = await disk.open({ readOnly: true })
    const bitmap = node.dirtyBitmaps.get('on')
    expect(disk.log).toEqual([])
    expect(bitmap).toMatchObject({ loaded: false, enabled: true })
    expect(() => bitmap.dirtyBytes).toThrow(expect.objectContaining({ code: 'invalid', message: "Bitmap 'on' is not loaded" }))
    const [a, b] = await Promise.all([node.dirtyBitmaps.load('on'), bitmap.load()])
    expect(a).toBe(bitmap)
    expect(b).toBe(bitmap)
    expect(bitmap.dirtyBytes).toBe(512)
    await bitmap.load()
    expect(disk.log).toEqual(['load on 0+0'])
  })

  test('leaves stored ones as they are', async () => {
    const disk = new BitmapDisk(SIZE)
    disk.put('on', FIRST)
    const node = await disk.open({ readOnly: true })
    const bitmap = await node.dirtyBitmaps.load('on')
    const own = node.dirtyBitmaps.add({ name: 'own' })
    await node.dirtyBitmaps.merge(own, ['on'])
    expect(own.count).toBe(1)
    const refused = { code: 'read-only', message: "Bitmap 'on' is readonly and cannot be modified" }
    for (const act of [() => bitmap.clear(), () => bitmap.enable(), () => bitmap.disable(), () => bitmap.set(0, 1)]) expect(act).toThrow(expect.objectContaining(refused))
    await expect(node.dirtyBitmaps.remove('on')).rejects.toMatchObject(refused)
    await node.close()
    expect(disk.stored('on')).toEqual({ auto: true, inUse: false, bits: FIRST })
  })
})

describe('removing', () => {
  test('removes from the image at once', async () => {
    const disk = new BitmapDisk(SIZE)
    disk.put('on', FIRST)
    disk.put('off', FIRST, { auto: false })
    const node = await disk.open()
    await node.dirtyBitmaps.remove('on')
    expect([...disk.bitmaps.keys()]).toEqual(['off'])
    await node.close()
    expect([...disk.bitmaps.keys()]).toEqual(['off'])
  })

  test('a name can be used again; what was never stored is only forgotten', async () => {
    const disk = new BitmapDisk(SIZE)
    disk.put('b', FIRST)
    const node = await disk.open()
    await node.dirtyBitmaps.remove('b')
    node.dirtyBitmaps.add({ name: 'b', persistent: true })
    await node.dirtyBitmaps.remove('b')
    node.dirtyBitmaps.add({ name: 'b', persistent: true, granularity: 1024, enabled: false })
    await node.close()
    expect(disk.log.filter((line) => line.startsWith('remove'))).toEqual(['remove b 0+0'])
    expect(disk.bitmaps.get('b')).toMatchObject({ granularity: 1024, auto: false })
  })

  test('if the image refuses, it is still there', async () => {
    const disk = new BitmapDisk(SIZE)
    disk.put('on', FIRST)
    const node = await disk.open()
    disk.before = () => Promise.reject(new Error('no'))
    await expect(node.dirtyBitmaps.remove('on')).rejects.toThrow('no')
    disk.before = () => {}
    expect(node.dirtyBitmaps.get('on')).toMatchObject({ busy: false, dirtyBytes: 512 })
    await node.dirtyBitmaps.remove('on')
  })

  test('is waited for by writes, and kept from everybody else meanwhile', async () => {
    const disk = new BitmapDisk(SIZE)
    disk.put('on', FIRST)
    const node = await disk.open()
    let go = (): void => {}
    disk.before = (what) => (what.startsWith('remove') ? new Promise((resolve) => (go = resolve)) : undefined)
    const removed = node.dirtyBitmaps.remove('on')
    await new Promise((resolve) => setImmediate(resolve))
    const written = node.write(0, data)
    expect(() => node.dirtyBitmaps.get('on').clear()).toThrow(expect.objectContaining({ code: 'busy' }))
    go()
    await Promise.all([removed, written])
    expect(disk.log).toEqual(['load on 0+0', 'remove on 0+0', 'write 0+512'])
  })
})

describe('a node that is opened to be repaired', () => {
  const refused = { code: 'invalid', message: "Bitmap 'b' is not loaded" }

  test('loads nothing, which may be damaged, and leaves to the repair what is stored', async () => {
    const disk = new BitmapDisk(SIZE)
    disk.put('b', FIRST)
    disk.before = (what) => (what === 'load b' ? Promise.reject(new BlockError('corrupt', 'damaged')) : undefined)
    const node = await disk.open({ forCheck: true })
    const bitmap = node.dirtyBitmaps.get('b')
    for (const act of [() => bitmap.enable(), () => bitmap.disable(), () => bitmap.clear(), () => bitmap.set(0, 1)]) expect(act).toThrow(expect.objectContaining(refused))
    await expect(bitmap.load()).rejects.toThrow('damaged')
    await node.check!.check({ fix: 'errors' })
    disk.put('b', Array<number>(16).fill(255))
    await node.close()
    expect(disk.stored('b')).toEqual({ auto: true, inUse: false, bits: Array<number>(16).fill(255) })
  })

  test('makes bitmaps inconsistent when it is written', async () => {
    const disk = new BitmapDisk(SIZE)
    disk.put('b', FIRST)
    const node = await disk.open({ forCheck: true })
    await node.write(4096, data)
    await expect(node.dirtyBitmaps.load('b')).rejects.toMatchObject({ code: 'corrupt' })
    await node.close()
    expect(disk.stored('b')?.inUse).toBe(true)
  })

  test('records in bitmaps that were loaded before', async () => {
    const disk = new BitmapDisk(SIZE)
    disk.put('b', FIRST)
    const node = await disk.open({ forCheck: true })
    await node.dirtyBitmaps.load('b')
    await node.write(4096, data)
    await node.close()
    expect(disk.stored('b')).toEqual({ auto: true, inUse: false, bits: [1, 1, ...NONE.slice(2)] })
  })
})

test('bitmaps that the image loses are lost, and not stored again', async () => {
  const disk = new BitmapDisk(SIZE)
  disk.put('b', FIRST)
  const node = await disk.open()
  const own = node.dirtyBitmaps.add({ name: 'own', persistent: true })
  disk.before = (what) => void (what === 'check' && disk.lose('b'))
  await node.check!.check({ fix: 'errors' })
  expect(node.dirtyBitmaps.list).toEqual([own])
  await node.close()
  expect([...disk.bitmaps.keys()]).toEqual(['own'])
})

test('bitmaps that somebody stores or removes through the facet are followed', async () => {
  const disk = new BitmapDisk(SIZE)
  disk.put('a', FIRST)
  disk.put('b', FIRST)
  const node = await disk.open()
  const before = node.dirtyBitmaps.get('a')
  await node.bitmaps!.store!([{ name: 'a', granularity: 512, auto: false, bits: () => null }, { name: 'c', granularity: 512, auto: true, bits: () => null }])
  await node.bitmaps!.remove!('b')
  expect(node.dirtyBitmaps.list.map(({ name, enabled, dirtyBytes }) => ({ name, enabled, dirtyBytes }))).toEqual([
    { name: 'a', enabled: false, dirtyBytes: 0 },
    { name: 'c', enabled: true, dirtyBytes: 0 },
  ])
  expect(() => before.clear()).toThrow(expect.objectContaining({ code: 'not-found' }))
  await node.write(0, data)
  await node.close()
  expect(disk.stored('a')).toEqual({ auto: false, inUse: false, bits: NONE })
  expect(disk.stored('c')).toEqual({ auto: true, inUse: false, bits: FIRST })
  expect(disk.stored('b')).toBeUndefined()
})

type Node = Awaited<ReturnType<BitmapDisk['open']>>
