import { isBlockError, type Instance } from '@blockloom/block-driver'
import { describe, expect, it } from 'vitest'
import { decodeBitmapDirectory } from '../../src/on-disk/bitmap-directory.ts'
import { decodeHeaderArea } from '../../src/on-disk/header-area.ts'
import { createInMemory } from '../harness/create.ts'
import { MemoryChild } from '../harness/memory-child.ts'
import { openQcow2, type OpenInit } from '../harness/open.ts'
import { contentOf, loadBits } from './bits.ts'

const SIZE = 80 * 1024 * 1024
const CLUSTER = 4096
/** Five clusters of bits, and none of them zero. */
const BITS = new Uint8Array(SIZE / 512 / 8).map((_, i) => 1 + (i % 250))

/** An image with written clusters and the bitmaps `a` and `b`, and where its structures are. */
async function make(): Promise<Damaged> {
  const file = await createInMemory({ size: SIZE, cluster_size: CLUSTER })
  const image = await openQcow2({ file })
  await image.writer!.write(0, new Uint8Array(100_000).fill(7), 0)
  await image.bitmaps!.store!([contentOf('a', 512, BITS), contentOf('b', 65536, new Uint8Array(160).fill(3))])
  await image.close()
  return new Damaged(file)
}

class Damaged {
  readonly file: MemoryChild
  readonly view: DataView
  readonly directory: number
  readonly tables: readonly number[]
  readonly l1: number
  readonly refcountTable: number

  constructor(file: MemoryChild) {
    this.file = file
    this.view = new DataView(file.content.buffer, file.content.byteOffset, file.content.byteLength)
    const { header, extensions, geometry } = decodeHeaderArea(file.content)
    const { directoryOffset, directorySize, count } = extensions.bitmaps!
    this.directory = directoryOffset
    this.tables = decodeBitmapDirectory(file.content.subarray(directoryOffset, directoryOffset + directorySize), count, geometry).map(({ tableOffset }) => tableOffset)
    this.l1 = header.l1Offset
    this.refcountTable = header.refcountTableOffset
  }

  set(at: number, value: number | bigint): this {
    this.view.setBigUint64(at, BigInt(value))
    return this
  }
}

async function opened<T>(file: MemoryChild, work: (image: Instance) => Promise<T>, init: Partial<OpenInit> = {}): Promise<T> {
  const image = await openQcow2({ file, ...init })
  const result = await work(image)
  await image.close()
  return result
}

async function reads(image: Instance, offset: number, bytes: number, value: number): Promise<boolean> {
  const found = new Uint8Array(bytes)
  await image.read(offset, found, 0)
  return found.every((byte) => byte === value)
}

const refusal = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'accepted',
    (error: unknown) => (isBlockError(error) ? `${error.code}: ${error.message}` : `not a BlockError: ${String(error)}`),
  )

describe('a damaged bitmap table', () => {
  const entries: Readonly<Record<string, number | bigint>> = {
    'an unaligned cluster': 0x5200,
    'a cluster behind the end of the file': 2 ** 40,
    'a cluster behind 2^53': 0x00ff_ffff_ffff_f000n,
    'reserved bits below': 0x5002,
    'reserved bits above': 0x0100_0000_0000_5000n,
    'an offset and the flag': 0x5001,
  }
  for (const [what, entry] of Object.entries(entries)) {
    it(`is refused when it is loaded, and the bitmap can be removed and replaced: ${what}`, async () => {
      for (const replace of [false, true]) {
        const image = await make()
        image.set(image.tables[0]!, entry)
        const warnings: string[] = []
        await opened(image.file, async (damaged) => {
          expect(await refusal(damaged.bitmaps!.load('a', () => {}))).toBe("corrupt: Could not read bitmap_table table from image for bitmap 'a': Invalid argument")
          expect((await loadBits(damaged, 'b'))[0]).toBe(3)
          if (replace) await damaged.bitmaps!.store!([contentOf('a', 512, BITS)])
          else await damaged.bitmaps!.remove!('a')
        }, { warnings })
        // What its table said is not known any more.
        expect(warnings.join()).toContain('leaked')
        await opened(image.file, async (after) => {
          expect(after.bitmaps!.list().map(({ name }) => name)).toEqual(replace ? ['a', 'b'] : ['b'])
          if (replace) expect(Buffer.compare(await loadBits(after, 'a'), BITS)).toBe(0)
          expect(await after.check!.check({ fix: 'none' })).toMatchObject({ corruptions: 0, checkErrors: 0, leaks: expect.any(Number) })
        }, { mode: { readOnly: true, forCheck: true } })
      }
    })
  }

  it('that names clusters of other structures frees none of them', async () => {
    const image = await make()
    const { refcountTable, l1, directory, tables } = image
    const l2 = Number(image.view.getBigUint64(l1) & 0x00ff_ffff_ffff_fe00n)
    const block = Number(image.view.getBigUint64(refcountTable))
    for (const [i, place] of [refcountTable, l1, l2, block].entries()) image.set(tables[0]! + i * 8, place)
    const warnings: string[] = []
    await opened(image.file, async (damaged) => {
      await damaged.bitmaps!.remove!('a')
      // Nothing that is written now lands there.
      await damaged.writer!.write(1_000_000, new Uint8Array(300_000).fill(9), 0)
      expect(await reads(damaged, 0, 100_000, 7)).toBe(true)
    }, { warnings })
    for (const what of ['refcount table', 'active L1 table', 'active L2 table', 'refcount block']) expect(warnings.join()).toContain(`overlaps with ${what}`)
    await opened(image.file, async (after) => {
      expect(await after.check!.check({ fix: 'none' })).toMatchObject({ corruptions: 0, checkErrors: 0 })
      expect(await reads(after, 1_000_000, 300_000, 9)).toBe(true)
    }, { mode: { readOnly: true, forCheck: true } })
    expect(directory).toBeGreaterThan(0)
  })

  it('behind the end of the file is refused', async () => {
    const image = await make()
    image.set(image.directory, 2 ** 40)
    await opened(image.file, async (damaged) => {
      expect(await refusal(damaged.bitmaps!.load('a', () => {}))).toContain('corrupt: Could not read bitmap_table')
    }, { mode: { readOnly: true } })
  })
})

describe('a damaged bitmap directory', () => {
  const damages: Readonly<Record<string, (image: Damaged) => void>> = {
    'a table that does not fit the disk': (image) => image.view.setUint32(image.directory + 8, 4),
    'an unaligned table': (image) => void image.set(image.directory, 0x5200),
    'unknown flags': (image) => image.view.setUint32(image.directory + 12, 8),
    'another name twice': (image) => image.view.setUint8(image.directory + 24, 0x62),
    'no end': (image) => image.view.setUint16(image.directory + 18, 60_000),
  }
  for (const [what, damage] of Object.entries(damages)) {
    it(`refuses the bitmaps and what would need them, not the rest: ${what}`, async () => {
      const image = await make()
      damage(image)
      const { file } = image
      const refused = await refusal(openQcow2({ file }))
      expect(refused).toMatch(/^(corrupt|unsupported): .*[bB]itmap/)
      await opened(file, async (readOnly) => {
        expect(await reads(readOnly, 0, 100_000, 7)).toBe(true)
        expect(await refusal((async () => readOnly.bitmaps!.list())())).toBe(refused)
        expect(await refusal(readOnly.bitmaps!.load('a', () => {}))).toBe(refused)
      }, { mode: { readOnly: true } })
      // A check tells what is broken.
      await opened(file, async (checked) => {
        expect(checked.bitmaps!.list()).toEqual([])
        expect(await refusal(checked.bitmaps!.load('a', () => {}))).toBe(refused)
      }, { mode: { forCheck: true } })
    })
  }

  it('that lies on another structure is not written to', async () => {
    const image = await make()
    const { file, directory, l1 } = image
    // The L1 table is where the directory is: its first entry would be marked.
    const area = decodeHeaderArea(file.content)
    const moved = file.content.slice(directory, directory + area.extensions.bitmaps!.directorySize)
    await file.write(l1 + 8, moved)
    image.set(40, directory)
    const before = file.content.slice(directory, directory + moved.length)
    await opened(file, async (damaged) => {
      expect(await refusal(damaged.writer!.write(0, new Uint8Array(512), 0))).toContain('Preventing invalid write on metadata (overlaps with active L1 table)')
    }, { warnings: [] })
    expect(file.content.slice(directory, directory + moved.length)).toEqual(before)
  })
})
