import type { OpenContext } from '@blockloom/block-driver'
import { isBlockError, parseOptions } from '@blockloom/block-driver'
import type { MemoryDisk } from '@blockloom/protocol-memory'
import { createMemoryDisk, memory, memoryDriver } from '@blockloom/protocol-memory'
import { describe, expect, test } from 'vitest'

type AnyMemory = typeof memory | ReturnType<typeof memoryDriver>

async function open(driver: AnyMemory, values: Record<string, unknown>, readOnly = false) {
  const options = parseOptions(driver.options, values)
  const context = { options, mode: { readOnly, noIo: false, noBacking: false, forCheck: false } } as unknown as OpenContext<never>
  const image = await driver.open(context)
  return { ...image, size: image.size!, read: image.read! }
}

const refusal = (code: Parameters<typeof isBlockError>[1]) => expect.toSatisfy((e) => isBlockError(e, code))

describe('memory', () => {
  test('is a new disk each time it is opened', async () => {
    const one = await open(memory, { size: '64k' })
    const two = await open(memory, { size: '64k' })
    await one.writer!.write(10, Uint8Array.of(1, 2), 0)
    const into = new Uint8Array(2)
    await two.read(10, into, 0)
    expect(into).toEqual(Uint8Array.of(0, 0))
    await one.read(10, into, 0)
    expect(into).toEqual(Uint8Array.of(1, 2))
    expect(one.size()).toBe(65536)
    expect(one.filename).toBeUndefined()
  })

  test('shows zeroes as an extent, and gives memory back', async () => {
    const image = await open(memory, { size: '1M' })
    await image.writer!.write(65536, new Uint8Array(65536).fill(1), 0)
    expect(await image.extents!(0, 1048576)).toEqual({ kind: 'zero', bytes: 65536 })
    expect(await image.extents!(65536, 1048576 - 65536)).toEqual({ kind: 'data', bytes: 65536 })
    expect(await image.allocatedSize!()).toBe(65536)
    expect(await image.discard!(0, 1048576)).toBe('done')
    expect(await image.allocatedSize!()).toBe(0)
    expect(await image.extents!(0, 1048576)).toEqual({ kind: 'zero', bytes: 1048576 })
  })

  test('has nothing to change when read-only', async () => {
    const image = await open(memory, {}, true)
    expect([image.writer, image.zero, image.discard, image.resize]).toEqual([undefined, undefined, undefined, undefined])
  })

  test('a discard past the end does not grow it', async () => {
    const image = await open(memory, { size: 1000 })
    await image.discard!(500, 10000)
    expect(image.size()).toBe(1000)
  })
})

describe('memoryDriver', () => {
  test('opens the same disk again, by name and by filename', async () => {
    const disks = new Map<string, MemoryDisk>([['vm', createMemoryDisk(Uint8Array.of(1, 2, 3))]])
    const driver = memoryDriver(disks)
    const image = await open(driver, { name: 'vm' })
    await image.writer!.write(1, Uint8Array.of(9), 0)
    await image.close()
    const again = await open(driver, driver.parseFilename!(image.filename!))
    const into = new Uint8Array(3)
    await again.read(0, into, 0)
    expect(into).toEqual(Uint8Array.of(1, 9, 3))
    expect(image.filename).toBe('memory:vm')
  })

  test('creates a disk and empties one that exists, for those who have it open too', async () => {
    const disks = new Map<string, MemoryDisk>()
    const driver = memoryDriver(disks)
    const create = (size: number) => driver.creation!.create({ options: { name: 'new', size } } as never)
    await create(100)
    disks.get('new')!.write(0, Uint8Array.of(1))
    const image = await open(driver, { name: 'new' })
    await create(200)
    expect(image.size()).toBe(200)
    expect(disks.get('new')!.toBytes()).toEqual(new Uint8Array(200))
  })

  test('refuses a name that it does not know, and a size for a disk that has one', async () => {
    const driver = memoryDriver(new Map([['x', createMemoryDisk({ size: 1 })]]))
    await expect(open(driver, { name: 'y' })).rejects.toEqual(refusal('not-found'))
    await expect(open(driver, { name: 'x', size: 5 })).rejects.toEqual(refusal('invalid'))
  })
})
