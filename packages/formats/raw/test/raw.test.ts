import { BlockError, ChildRole, isBlockError, RequestFlag } from '@blockloom/block-driver'
import { raw } from '@blockloom/format-raw'
import { createMemoryDisk } from '@blockloom/protocol-memory'
import { describe, expect, test } from 'vitest'
import type { Log } from './memory-child.ts'
import { memoryChild, openRaw } from './memory-child.ts'

const counting = (bytes: number) => Uint8Array.from({ length: bytes }, (_, i) => i % 251)
const refusal = (code: Parameters<typeof isBlockError>[1]) => expect.toSatisfy((e) => isBlockError(e, code))

describe('raw', () => {
  test('shows the whole file and follows its size', async () => {
    const disk = createMemoryDisk(counting(5000))
    const image = await openRaw(memoryChild(disk))
    const into = new Uint8Array(5000)
    await image.read(0, into, 0)
    expect(into).toEqual(counting(5000))
    disk.resize(6000)
    expect(image.size()).toBe(6000)
    expect(image.roles).toEqual([ChildRole.PRIMARY | ChildRole.FILTERED])
    expect(image.zeroInit).toBe(true)
  })

  test('shows a window, and nothing outside of it is touched', async () => {
    const disk = createMemoryDisk(counting(5000))
    const log: Log = []
    const image = await openRaw(memoryChild(disk, log), { offset: 100, size: 1024 })
    expect(image.size()).toBe(1024)
    const into = new Uint8Array(24)
    await image.read(1000, into, 0)
    expect(into).toEqual(counting(5000).subarray(1100, 1124))
    await image.writer!.write(0, into, RequestFlag.FUA)
    await image.zero!(1, 2, RequestFlag.MAY_UNMAP)
    await image.discard!(3, 4)
    await image.writer!.flush('stable')
    expect(log).toEqual([['write', 100, 24, RequestFlag.FUA], ['zero', 101, 2, RequestFlag.MAY_UNMAP], ['discard', 103, 4], ['flush', 'stable']])
    expect(image.roles).toEqual([ChildRole.PRIMARY | ChildRole.DATA])
  })

  test('says where in the file its bytes are, holes included', async () => {
    const disk = createMemoryDisk({ size: 262144 })
    disk.write(65536, counting(65536))
    const file = memoryChild(disk)
    const image = await openRaw(file, { offset: 65536 - 512 })
    expect(await image.extents!(0, 100000)).toEqual({ kind: 'zero', bytes: 512, host: { child: file, offset: 65024 } })
    expect(await image.extents!(512, 100000)).toEqual({ kind: 'data', bytes: 65536, host: { child: file, offset: 65536 } })
  })

  test('a compressed or absent place of its child is data or absent here', async () => {
    const below = memoryChild(createMemoryDisk({ size: 1024 }))
    const encoded = { ...below, extents: async () => ({ kind: 'encoded', bytes: 512, compressed: true }) as const }
    const absent = { ...below, extents: async () => ({ kind: 'absent', bytes: 512 }) as const }
    expect(await (await openRaw(encoded)).extents!(0, 1024)).toEqual({ kind: 'data', bytes: 512, host: { child: encoded, offset: 0 } })
    expect(await (await openRaw(absent)).extents!(0, 1024)).toEqual({ kind: 'absent', bytes: 512 })
  })

  test.each([
    [{ offset: 512, size: 1000 }, 'Specified size is not multiple of 512'],
    [{ offset: 512, size: 4096 }, 'The sum of offset (512) and size (4096) has to be smaller or equal to the  actual size of the containing file (4096)'],
    [{ offset: 5000 }, 'Offset (5000) cannot be greater than size of the containing file (4096)'],
  ])('refuses the window %j in the words of qemu-img', async (window, message) => {
    await expect(openRaw(memoryChild(createMemoryDisk({ size: 4096 })), window)).rejects.toThrow(message)
  })

  test('accepts an empty window at the very end', async () => {
    expect((await openRaw(memoryChild(createMemoryDisk({ size: 4096 })), { offset: 4096 })).size()).toBe(0)
  })

  test('resizes behind its offset, but not a window of fixed size', async () => {
    const disk = createMemoryDisk({ size: 4096 })
    const image = await openRaw(memoryChild(disk), { offset: 512 })
    await image.resize!.resize(8192, { preallocation: 'off', zeroFill: true })
    expect([disk.size, image.size()]).toEqual([8704, 8192])
    const fixed = await openRaw(memoryChild(disk), { size: 512 })
    await expect(fixed.resize!.resize(1024, { preallocation: 'off', zeroFill: true })).rejects.toThrow('Cannot resize fixed-size raw disks')
    await expect(image.resize!.resize(Number.MAX_SAFE_INTEGER - 65536, { preallocation: 'off', zeroFill: true })).rejects.toEqual(refusal('range'))
  })

  test('a reopen moves the window when it is committed, and a bad one changes nothing', async () => {
    const image = await openRaw(memoryChild(createMemoryDisk(counting(4096))), { offset: 10, size: 512 })
    await expect(image.reopen!({ offset: 9999 })).rejects.toEqual(refusal('invalid'))
    const next = await image.reopen!({ offset: 20 })
    expect(image.size()).toBe(512)
    await next.commit()
    expect(image.size()).toBe(4076)
    const into = new Uint8Array(1)
    await image.read(0, into, 0)
    expect(into[0]).toBe(20)
  })

  test('a fast zero that the child cannot do is "unsupported"; other failures are failures', async () => {
    const below = memoryChild(createMemoryDisk({ size: 4096 }))
    const slow = { ...below, zero: async () => Promise.reject(new BlockError('unsupported', 'slow')) }
    const image = await openRaw(slow)
    expect(await image.zero!(0, 512, RequestFlag.NO_FALLBACK)).toBe('unsupported')
    await expect(image.zero!(0, 512, 0)).rejects.toEqual(refusal('unsupported'))
  })

  test('is probed last and has nothing to change when read-only', async () => {
    expect(raw.probe!(new Uint8Array(512), 'x')).toBe(1)
    const image = await openRaw(memoryChild(createMemoryDisk({ size: 512 })), {}, true)
    expect([image.writer, image.zero, image.discard, image.resize]).toEqual([undefined, undefined, undefined, undefined])
  })
})

describe('creating a raw image', () => {
  const create = (file: ReturnType<typeof memoryChild> | null, size: number, preallocation: 'off' | 'falloc' | 'full' = 'off') =>
    raw.creation!.create({ file, options: { size, preallocation } } as never)

  test('leaves nothing of what was in the file', async () => {
    const disk = createMemoryDisk(counting(9000))
    await create(memoryChild(disk), 5000)
    expect(disk.toBytes()).toEqual(new Uint8Array(5000))
  })

  test('preallocates by the file', async () => {
    const log: Log = []
    await create(memoryChild(createMemoryDisk({ size: 0 }), log), 5120, 'falloc')
    expect(log).toEqual([['resize', 5120, 'falloc']])
  })

  test('accepts a device that is large enough', async () => {
    const device = memoryChild(createMemoryDisk({ size: 8192 }), [], true)
    await create(device, 4096)
    await expect(create(device, 9000)).rejects.toEqual(refusal('unsupported'))
    await expect(create(device, 4096, 'full')).rejects.toEqual(refusal('unsupported'))
  })

  test('measures as its size in whole sectors', async () => {
    expect(await raw.creation!.measure!({ size: 1000, options: { size: 1000, preallocation: 'off' } })).toEqual({ required: 1024, fullyAllocated: 1024 })
  })
})
