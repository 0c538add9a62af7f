import { isBlockError } from '@blockloom/block-driver'
import { describe, expect, it } from 'vitest'
import { decodeBitmapDirectory } from '../../src/on-disk/bitmap-directory.ts'
import { classifyBitmapCluster } from '../../src/on-disk/bitmap-table.ts'
import { decodeHeaderArea, layoutHeaderArea } from '../../src/on-disk/header-area.ts'
import { createInMemory } from '../harness/create.ts'
import type { MemoryChild } from '../harness/memory-child.ts'
import { openQcow2, readAll } from '../harness/open.ts'
import { Random } from '../harness/random.ts'
import { bitBytes, contentOf, loadBits, randomBits } from './bits.ts'

const MIB = 1024 * 1024

/** The entries of the table of a bitmap, by kind. */
function tableKinds(file: MemoryChild, name: string): string[] {
  const { extensions, geometry } = decodeHeaderArea(file.content)
  const { directoryOffset, directorySize, count } = extensions.bitmaps!
  const directory = decodeBitmapDirectory(file.content.subarray(directoryOffset, directoryOffset + directorySize), count, geometry)
  const entry = directory.find((each) => each.name === name)!
  const view = new DataView(file.content.buffer, file.content.byteOffset + entry.tableOffset, entry.tableEntries * 8)
  return Array.from({ length: entry.tableEntries }, (_, i) => classifyBitmapCluster(geometry, view.getUint32(i * 8), view.getUint32(i * 8 + 4)))
}

async function assertClean(file: MemoryChild, where = ''): Promise<void> {
  const image = await openQcow2({ file, mode: { readOnly: true, forCheck: true } })
  const lines: string[] = []
  const { corruptions, leaks, checkErrors } = await image.check!.check({ fix: 'none', report: (line) => void lines.push(line) })
  expect({ corruptions, leaks, checkErrors, lines }, where).toEqual({ corruptions: 0, leaks: 0, checkErrors: 0, lines: [] })
  await image.close()
}

describe('bitmaps that were stored', () => {
  for (const clusterSize of [512, 1024, 4096, 65536, 2 * MIB]) {
    it(`are there again, replaced, and gone without a trace: clusters of ${clusterSize} bytes`, async () => {
      const random = new Random(clusterSize)
      const size = 5 * MIB + 1536
      const file = await createInMemory({ size, cluster_size: clusterSize })
      const pristine = file.content.slice(0, clusterSize)
      const expected = new Map<string, { readonly granularity: number; readonly auto: boolean; readonly bits: Uint8Array }>()
      for (let round = 0; round < 6; round++) {
        const where = `seed ${random.seed}, round ${round}`
        const image = await openQcow2({ file })
        const stored = [0, 1, 2].slice(random.below(3)).map(() => {
          const name = `bitmap-${random.below(5)}`
          const granularity = random.pick([512, 1024, 4096, 65536, MIB, 2 ** 31])
          return { name, granularity, auto: random.chance(0.5), bits: randomBits(random, size, granularity, clusterSize) }
        })
        const distinct = [...new Map(stored.map((each) => [each.name, each])).values()]
        for (const { name, granularity, auto, bits } of distinct) expected.set(name, { granularity, auto, bits })
        await image.bitmaps!.store!(distinct.map(({ name, granularity, auto, bits }) => contentOf(name, granularity, bits, auto)))
        const gone = expected.size > 1 ? random.pick([...expected.keys()]) : undefined
        if (gone !== undefined) {
          await image.bitmaps!.remove!(gone)
          expected.delete(gone)
        }
        const list = [...expected].map(([name, { granularity, auto }]) => ({ name, granularity, auto, inconsistent: false }))
        expect(image.bitmaps!.list(), where).toEqual(list)
        for (const [name, { bits }] of expected) expect(Buffer.compare(await loadBits(image, name), bits), where).toBe(0)
        await image.close()
        await assertClean(file, where)
        const again = await openQcow2({ file, mode: { readOnly: true } })
        expect(again.bitmaps!.list(), where).toEqual(list)
        for (const [name, { bits }] of expected) expect(Buffer.compare(await loadBits(again, name), bits), where).toBe(0)
        expect(again.bitmaps!.store).toBeUndefined()
        expect(again.bitmaps!.remove).toBeUndefined()
        await again.close()
      }
      const image = await openQcow2({ file })
      for (const name of expected.keys()) await image.bitmaps!.remove!(name)
      expect(image.bitmaps!.list()).toEqual([])
      await image.close()
      await assertClean(file)
      // Neither the extension nor the bit is left.
      expect(Buffer.compare(file.content.subarray(0, clusterSize), pristine)).toBe(0)
    })
  }

  it('take room only for clusters that are neither all zero nor all ones', async () => {
    const size = 64 * MIB + 512 * 5
    const file = await createInMemory({ size, cluster_size: 4096 })
    const image = await openQcow2({ file })
    const bits = new Uint8Array(bitBytes(size, 512))
    bits.fill(0xff, 4096, 8192)
    bits[9000] = 1
    bits[bits.length - 1] = 0x1f
    const asked: [number, number][] = []
    await image.bitmaps!.store!([contentOf('b', 512, bits, true, asked)])
    expect(tableKinds(file, 'b')).toEqual(['all-zeroes', 'all-ones', 'data', 'all-zeroes', 'data'])
    // Ascending, and nothing past the end is asked for.
    expect(asked).toEqual([[0, 4096], [4096, 4096], [8192, 4096], [12288, 4096], [16384, 1]])
    expect(await loadBits(image, 'b')).toEqual(bits)
    const chunks: [number, number][] = []
    await image.bitmaps!.load('b', (offset, chunk) => void chunks.push([offset, chunk.length]))
    expect(chunks).toEqual([[4096, 4096], [8192, 4096], [16384, 1]])
    await image.close()
  })

  it('do not get bits past the end of the disk', async () => {
    const file = await createInMemory({ size: 5 * 65536, cluster_size: 4096 })
    const image = await openQcow2({ file })
    await image.bitmaps!.store!([contentOf('all', 65536, Uint8Array.of(0xff)), contentOf('some', 65536, Uint8Array.of(0xf1))])
    expect(tableKinds(file, 'all')).toEqual(['data'])
    expect(await loadBits(image, 'all')).toEqual(Uint8Array.of(0x1f))
    expect(await loadBits(image, 'some')).toEqual(Uint8Array.of(0x11))
    await image.close()
  })

  it('are marked before the guest\'s disk changes, and right again once stored', async () => {
    const file = await createInMemory({ size: MIB, cluster_size: 4096 })
    const image = await openQcow2({ file })
    const bits = Uint8Array.of(1, 2)
    await image.bitmaps!.store!([contentOf('one', 65536, bits), contentOf('two', 65536, bits, false)])
    const onDisk = async (): Promise<unknown> => (await openQcow2({ file, mode: { readOnly: true } })).bitmaps!.list().map(({ name, inconsistent }) => [name, inconsistent])
    for (let round = 0; round < 3; round++) {
      expect(await onDisk()).toEqual([['one', false], ['two', round > 0]])
      let marked: unknown
      file.before = async (op, offset) => {
        // The first thing that is written besides the directory comes after the mark.
        if (op !== 'write' || marked !== undefined || offset === decodeHeaderArea(file.content).extensions.bitmaps!.directoryOffset) return
        marked = await onDisk()
      }
      await Promise.all([image.writer!.write(round * 8192, new Uint8Array(4096).fill(1), 0), image.writer!.write(500_000, new Uint8Array(9000).fill(2), 0)])
      file.before = undefined
      expect(marked).toEqual([['one', true], ['two', true]])
      // What was there when it was opened is still there, for those who track writes.
      expect(image.bitmaps!.list().map(({ inconsistent }) => inconsistent)).toEqual([false, false])
      expect(await loadBits(image, 'one')).toEqual(bits)
      bits[0] = round
      await image.bitmaps!.store!([contentOf('one', 65536, bits)])
    }
    await image.close()
    expect(await onDisk()).toEqual([['one', false], ['two', true]])
    await assertClean(file)
    const later = await openQcow2({ file })
    await expect(later.bitmaps!.load('two', () => {})).rejects.toSatisfy((error) => isBlockError(error, 'corrupt') && error.message === "Bitmap 'two' is inconsistent and cannot be used")
    await expect(later.resize!.resize(2 * MIB, { preallocation: 'off', zeroFill: true })).rejects.toThrow("Bitmap 'two' is inconsistent and cannot be used")
    await later.bitmaps!.remove!('two')
    // A change of the size is a change of the disk.
    await later.resize!.resize(2 * MIB, { preallocation: 'off', zeroFill: true })
    expect(await onDisk()).toEqual([['one', true]])
    await later.bitmaps!.store!([contentOf('one', 65536, new Uint8Array(4).fill(0x77))])
    expect(await loadBits(later, 'one')).toEqual(new Uint8Array(4).fill(0x77))
    await later.close()
    await assertClean(file)
  })

  it('leave what they do not know in the header as it is', async () => {
    const file = await createInMemory({ size: MIB, cluster_size: 4096, backing_file: 'base', backing_fmt: 'raw' })
    const area = decodeHeaderArea(file.content)
    const header = { ...area.header, additionalFields: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8), headerLength: 120 }
    const unknown = [{ type: 0x11223344, data: Uint8Array.of(1, 2, 3) }, { type: 0x55667788, data: new Uint8Array(700).fill(9) }]
    await file.write(0, layoutHeaderArea({ ...area, header, extensions: { ...area.extensions, unknown } }))
    const before = file.content.slice(0, 4096)
    const image = await openQcow2({ file, backing: null })
    await image.bitmaps!.store!([contentOf('b', 65536, Uint8Array.of(1, 2))])
    const { extensions, backingFile, header: rewritten } = decodeHeaderArea(file.content)
    expect(extensions).toMatchObject({ unknown, backingFormat: 'raw', bitmaps: { count: 1 } })
    expect(backingFile).toBe('base')
    expect(rewritten).toMatchObject({ additionalFields: header.additionalFields, features: { bitmaps: true } })
    await image.bitmaps!.remove!('b')
    expect(Buffer.compare(file.content.subarray(0, 4096), before)).toBe(0)
    await image.close()
  })

  it('wait for requests that are under way, and later ones wait for them', async () => {
    const random = new Random(3)
    const file = await createInMemory({ size: MIB, cluster_size: 4096 })
    file.before = async () => {
      for (let turns = random.below(6); turns > 0; turns--) await Promise.resolve()
    }
    const image = await openQcow2({ file })
    const requests: Promise<unknown>[] = []
    for (let round = 0; round < 20; round++) {
      for (let i = 0; i < 5; i++) requests.push(image.writer!.write(random.below(200) * 4096, new Uint8Array(4096).fill(round + 1), 0))
      requests.push(image.bitmaps!.store!([contentOf(`b${round % 3}`, 4096, randomBits(random, MIB, 4096, 4))]))
      if (round % 4 === 3) requests.push(image.bitmaps!.remove!('b0'))
      requests.push(image.writer!.flush('stable'), readAll(image))
    }
    await Promise.all(requests)
    await image.close()
    file.before = undefined
    await assertClean(file)
    // The last round wrote before it stored b1, and nothing was written since.
    const again = await openQcow2({ file })
    expect(again.bitmaps!.list().find(({ name }) => name === 'b1')).toMatchObject({ inconsistent: false })
    expect(again.bitmaps!.list().find(({ name }) => name === 'b2')).toMatchObject({ inconsistent: true })
    await again.close()
  })
})

describe('what cannot be stored', () => {
  const refused = async (options: Readonly<Record<string, unknown>>, name: string, granularity: number): Promise<string> => {
    const file = await createInMemory(options)
    const image = await openQcow2({ file })
    const before = file.content.slice()
    let reason = ''
    try {
      image.bitmaps!.assertStorable!({ name, granularity })
    } catch (error) {
      reason = `${isBlockError(error) ? error.code : 'not a BlockError'}: ${(error as Error).message.replace(/^.*': /, '')}`
    }
    const stored = await image.bitmaps!.store?.([contentOf(name, granularity, new Uint8Array(0))]).then(() => 'stored', String)
    if (stored !== undefined) expect(stored.includes(reason.replace(/^\w+: /, ''))).toBe(true)
    expect(file.content).toEqual(before)
    await image.close()
    return reason
  }

  it('is refused with the reason, and changes nothing', async () => {
    const options = { size: MIB }
    expect(await refused(options, '', 65536)).toBe('invalid: Bitmap name cannot be empty')
    expect(await refused(options, 'ä'.repeat(512), 65536)).toBe('invalid: Name length exceeds maximum (1023 characters)')
    expect(await refused(options, 'b', 256)).toBe('invalid: Granularity is under minimum (512 bytes)')
    expect(await refused(options, 'b', 2 ** 32)).toBe('invalid: Granularity exceeds maximum (2147483648 bytes)')
    expect(await refused(options, 'b', 3000)).toBe('invalid: Granularity must be power of 2')
    expect(await refused({ size: 4 * 2 ** 40 }, 'b', 512)).toBe('invalid: Too much space will be occupied by the bitmap. Use larger granularity')
    expect(await refused({ size: MIB, compat: '0.10' }, 'b', 65536)).toBe('unsupported: Cannot store dirty bitmaps in qcow2 v2 files')
  })

  it('names are not given twice', async () => {
    const file = await createInMemory({ size: MIB })
    const image = await openQcow2({ file })
    const twice = [contentOf('b', 65536, new Uint8Array(2)), contentOf('b', 65536, new Uint8Array(2))]
    await expect(image.bitmaps!.store!(twice)).rejects.toThrow('Bitmap already exists: b')
    expect(image.bitmaps!.list()).toEqual([])
    await expect(image.bitmaps!.remove!('b')).rejects.toSatisfy((error) => isBlockError(error, 'not-found') && error.message === "Dirty bitmap 'b' not found")
    await expect(image.bitmaps!.load('b', () => {})).rejects.toSatisfy((error) => isBlockError(error, 'not-found'))
    await image.close()
  })

  it('is an error of the one who has the bits', async () => {
    const file = await createInMemory({ size: MIB, cluster_size: 4096 })
    const image = await openQcow2({ file })
    await image.bitmaps!.store!([contentOf('b', 512, new Uint8Array(256).fill(3))])
    const broken = { ...contentOf('c', 512, new Uint8Array(256)), bits: () => { throw new Error('no bits') } }
    await expect(image.bitmaps!.store!([contentOf('b', 512, new Uint8Array(256).fill(5)), broken])).rejects.toThrow('no bits')
    expect(await loadBits(image, 'b')).toEqual(new Uint8Array(256).fill(3))
    await image.close()
    await assertClean(file)
  })

  it('65535 bitmaps are the most', { timeout: 30_000 }, async () => {
    const file = await createInMemory({ size: MIB, cluster_size: 512 })
    const image = await openQcow2({ file })
    const zero = new Uint8Array(1)
    await image.bitmaps!.store!(Array.from({ length: 65535 }, (_, i) => contentOf(`b${i}`, 2 ** 20, zero)))
    expect(() => image.bitmaps!.assertStorable!({ name: 'b7', granularity: 512 })).not.toThrow()
    expect(() => image.bitmaps!.assertStorable!({ name: 'one more', granularity: 512 })).toThrow('Maximum number of persistent bitmaps is already reached')
    await expect(image.bitmaps!.store!([contentOf('one more', 2 ** 20, zero)])).rejects.toThrow('Maximum number of persistent bitmaps is already reached')
    await image.bitmaps!.remove!('b7')
    await image.bitmaps!.store!([contentOf('one more', 2 ** 20, Uint8Array.of(1))])
    await image.close()
    const again = await openQcow2({ file })
    expect(again.bitmaps!.list().length).toBe(65535)
    expect(await loadBits(again, 'one more')).toEqual(Uint8Array.of(1))
    await again.close()
  })
})
