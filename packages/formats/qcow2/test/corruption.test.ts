import { afterAll, describe, expect, it } from 'vitest'
import type { MemoryChild } from './harness/memory-child.ts'
import { openQcow2 } from './harness/open.ts'
import { haveReference, Reference } from './harness/reference.ts'

const KIB = 1024

function view(child: MemoryChild): DataView {
  const { content } = child
  return new DataView(content.buffer, content.byteOffset, content.length)
}

/** Where the first L2 table is. */
function firstTable(child: MemoryChild): number {
  const l1 = Number(view(child).getBigUint64(40))
  return Number(view(child).getBigUint64(l1) & 0x00ff_ffff_ffff_fe00n)
}

describe.runIf(haveReference)('a damaged image', () => {
  const tools = new Reference()
  afterAll(() => tools[Symbol.dispose]())

  function damaged(damage: (child: MemoryChild) => void): MemoryChild {
    tools.create('damaged.qcow2', '1M')
    tools.io('damaged.qcow2', 'write -P 1 0 128k')
    const child = tools.load('damaged.qcow2')
    damage(child)
    return child
  }

  it('opened read-only fails where it is damaged, and only there', async () => {
    const file = damaged((child) => view(child).setUint32(firstTable(child) + 4, 0x50200))
    const warnings: string[] = []
    const image = await openQcow2({ file, mode: { readOnly: true }, warnings })
    const error = await image.read(0, new Uint8Array(512), 0).catch((cause: unknown) => cause)
    expect(error).toMatchObject({ code: 'corrupt', errno: 'EIO' })
    expect((error as Error).message).toMatch(/^Image is corrupt: Cluster allocation offset 0x50200 unaligned \(L2 offset: 0x[0-9a-f]+, L2 index: 0\); further non-fatal corruption events will be suppressed$/)
    expect(warnings.length).toBe(1)
    const into = new Uint8Array(512)
    await image.read(64 * KIB, into, 0)
    expect(into[0]).toBe(1)
  })

  it('opened for writing is marked corrupt and refuses further writes', async () => {
    const file = damaged((child) => view(child).setUint32(firstTable(child) + 4, 0x50200))
    const image = await openQcow2({ file })
    await expect(image.writer!.write(0, new Uint8Array(512), 0)).rejects.toThrow(/^Marking image as corrupt: /)
    await expect(image.writer!.write(64 * KIB, new Uint8Array(512), 0)).rejects.toMatchObject({ code: 'corrupt' })
    await expect(image.discard!(64 * KIB, 64 * KIB)).rejects.toMatchObject({ code: 'corrupt' })
    await image.close()
    tools.save('damaged.qcow2', file)
    expect(tools.img('info', 'damaged.qcow2')).toContain('corrupt: true')
    await expect(openQcow2({ file })).rejects.toThrow('qcow2: Image is corrupt; cannot be opened read/write')
    await openQcow2({ file, mode: { readOnly: true } })
    await openQcow2({ file, mode: { forCheck: true } })
  })

  it('an unaligned L2 table offset is named', async () => {
    const file = damaged((child) => view(child).setUint32(Number(view(child).getBigUint64(40)) + 4, 0x40200))
    const image = await openQcow2({ file, mode: { readOnly: true } })
    await expect(image.read(0, new Uint8Array(1), 0)).rejects.toThrow('L2 table offset 0x40200 unaligned (L1 index: 0)')
    await expect(image.extents!(0, 512)).rejects.toMatchObject({ errno: 'EIO' })
  })

  const overlaps: Record<string, (child: MemoryChild) => void> = {
    // The guest could change which backing file the header names.
    'a guest cluster that is the header': (child) => view(child).setBigUint64(firstTable(child), 0x8000_0000_0000_0000n),
    'a guest cluster that is the L1 table': (child) => view(child).setBigUint64(firstTable(child), view(child).getBigUint64(40) | (1n << 63n)),
    'a guest cluster that is its own L2 table': (child) => view(child).setBigUint64(firstTable(child), BigInt(firstTable(child)) | (1n << 63n)),
    'an L2 table that is the refcount table': (child) => view(child).setBigUint64(Number(view(child).getBigUint64(40)), view(child).getBigUint64(48) | (1n << 63n)),
    'clusters in use with refcount 0': (child) => {
      const block = Number(view(child).getBigUint64(Number(view(child).getBigUint64(48))))
      child.content.fill(0, block, block + 100)
    },
  }
  for (const [what, damage] of Object.entries(overlaps)) {
    it(`${what}: its own structures are not written over`, async () => {
      const file = damaged(damage)
      const before = file.content.slice()
      const image = await openQcow2({ file })
      for (const offset of [0, 512 * KIB]) await image.writer!.write(offset, new Uint8Array(512).fill(0xff), 0).catch(() => {})
      await image.zero!(0, 64 * KIB, 0).catch(() => {})
      await image.writer!.flush('stable').catch(() => {})
      await image.close().catch(() => {})
      const after = file.content
      const [l1, table] = [Number(view(file).getBigUint64(40)), Number(view(file).getBigUint64(48))]
      // All but the corrupt bit, which is in the last byte of the field at 72.
      expect(after.subarray(0, 79)).toEqual(before.subarray(0, 79))
      expect(after.subarray(80, 4096)).toEqual(before.subarray(80, 4096))
      expect(after.subarray(l1, l1 + 512)).toEqual(before.subarray(l1, l1 + 512))
      expect(after.subarray(table, table + 512)).toEqual(before.subarray(table, table + 512))
    })
  }

  it('compressed data that is truncated or damaged is an I/O error', async () => {
    tools.create('packed.qcow2', '1M')
    tools.io('packed.qcow2', 'write -c -P 1 0 64k', 'write -c -P 2 64k 64k')
    const file = tools.load('packed.qcow2')
    const at = firstTable(file)
    const good = view(file).getBigUint64(at)
    for (const entry of [good + 0x100_0000n, good | 0x0000_7fff_ffff_ffffn, good + 3n]) {
      view(file).setBigUint64(at, entry)
      const image = await openQcow2({ file, mode: { readOnly: true } })
      await expect(image.read(0, new Uint8Array(512), 0), entry.toString(16)).rejects.toMatchObject({ code: 'io', errno: 'EIO' })
      await expect(image.read(0, new Uint8Array(64 * KIB), 0), entry.toString(16)).rejects.toMatchObject({ code: 'io' })
      const into = new Uint8Array(10)
      await image.read(64 * KIB, into, 0)
      expect(into[9]).toBe(2)
    }
  })

  it('clusters behind the end of the file read as zeroes', async () => {
    const file = damaged((child) => view(child).setUint32(firstTable(child) + 4, 0x7ff0_0000))
    const image = await openQcow2({ file, mode: { readOnly: true } })
    const into = new Uint8Array(64 * KIB).fill(1)
    await image.read(0, into, 0)
    expect(into.every((byte) => byte === 0)).toBe(true)
  })
})

describe.runIf(haveReference)('features', () => {
  const tools = new Reference()
  afterAll(() => tools[Symbol.dispose]())

  it('encrypted images are refused without their secret', async () => {
    tools.img('create', '-q', '-f', 'qcow2', '--object', 'secret,id=s,data=geheim', '-o', 'encrypt.format=aes,encrypt.key-secret=s', 'aes.qcow2', '1M')
    await expect(openQcow2({ file: tools.load('aes.qcow2'), mode: { readOnly: true } })).rejects.toMatchObject({
      code: 'invalid',
      message: "Parameter 'encrypt.key-secret' is required for cipher",
    })
  })

  it('a dirty image is read as it is, and repaired when it is opened for writing', async () => {
    tools.create('dirty.qcow2', '1M', 'lazy_refcounts=on')
    const file = tools.load('dirty.qcow2')
    file.content[79] = 1
    await openQcow2({ file, mode: { readOnly: true } })
    await openQcow2({ file, mode: { forCheck: true } })
    expect(file.content[79]).toBe(1)
    await openQcow2({ file })
    expect(file.content[79]).toBe(0)
  })

  it('autoclear bits of what is not known are cleared by the first change, not by opening', async () => {
    tools.create('bitmap.qcow2', '1M')
    for (const hasBitmap of [false, true]) {
      if (hasBitmap) tools.img('bitmap', '--add', 'bitmap.qcow2', 'b0')
      const file = tools.load('bitmap.qcow2')
      file.content[88] = 0x80
      file.content[95] = 1
      const image = await openQcow2({ file })
      await image.read(0, new Uint8Array(10), 0)
      await image.writer!.flush('stable')
      expect([file.content[88], file.content[95]]).toEqual([0x80, 1])
      await Promise.all([image.writer!.write(0, new Uint8Array(10), 0), image.writer!.write(70_000, new Uint8Array(10), 0)])
      // The bit of bitmaps says that they are known, not that they are right.
      expect([file.content[88], file.content[95]]).toEqual([0, hasBitmap ? 1 : 0])
    }
  })

  it('options that contradict each other are refused by name', async () => {
    tools.create('options.qcow2', '1M')
    const file = tools.load('options.qcow2')
    await expect(openQcow2({ file, options: { 'l2-cache-entry-size': 1000 } })).rejects.toMatchObject({ code: 'invalid', detail: { option: 'l2-cache-entry-size' } })
    await expect(openQcow2({ file, options: { 'cache-size': 4096, 'l2-cache-size': 8192 } })).rejects.toMatchObject({ detail: { option: 'l2-cache-size' } })
    await expect(openQcow2({ file, dataFile: file })).rejects.toThrow("'data-file' can only be set for images with an external data file")
    await openQcow2({ file, options: { 'cache-size': '1M' } })
  })
})
