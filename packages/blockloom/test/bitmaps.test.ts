import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkImage, oracleAvailable } from '@blockloom/oracle'
import { convert, copyBitmaps, createImage, openImage, type DiskImage } from 'blockloom'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

let folder: string
const at = (name: string): string => join(folder, name)
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'blockloom-'))))
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const K = 1024
const noise = (length: number, seed: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (Math.imul(i + seed, 2654435761) >>> 13) & 255)

/** An image with a bitmap that records and one that does not. */
async function sample(name: string, size = '1M'): Promise<void> {
  await createImage(at(name), { format: 'qcow2', size })
  await using disk = await openImage(at(name), { format: 'qcow2', write: true })
  disk.bitmaps.add({ name: 'on', persistent: true })
  disk.bitmaps.add({ name: 'off', granularity: 4 * K, persistent: true, enabled: false }).set(100 * K, 1)
  await disk.write(200 * K, noise(1000, 1))
}

interface Shown {
  readonly name: string
  readonly granularity: number
  readonly enabled: boolean
  readonly areas: readonly object[]
}

async function shown(disk: DiskImage): Promise<Shown[]> {
  const all: Shown[] = []
  for (const bitmap of disk.bitmaps) {
    await bitmap.load()
    const { name, granularity, enabled } = bitmap
    all.push({ name, granularity, enabled, areas: [...bitmap.dirtyAreas()] })
  }
  return all
}

async function shownIn(name: string): Promise<Shown[]> {
  await using disk = await openImage(at(name), { format: 'qcow2' })
  return await shown(disk)
}

const SAMPLE: readonly Shown[] = [
  { name: 'on', granularity: 64 * K, enabled: true, areas: [{ offset: 192 * K, bytes: 64 * K }] },
  { name: 'off', granularity: 4 * K, enabled: false, areas: [{ offset: 100 * K, bytes: 4 * K }] },
]

/** Opens the image, writes, and goes away: nothing is stored. */
async function crash(name: string): Promise<void> {
  const disk = await openImage(at(name), { format: 'qcow2', write: true })
  await disk.write(0, noise(512, 2))
  await disk.flush()
  // The process would end here; the handle is left to itself, and the lock with it.
}

test('bitmaps are kept in the image', async () => {
  await sample('a.qcow2')
  expect(await shownIn('a.qcow2')).toEqual(SAMPLE)
  if (oracleAvailable()) expect(checkImage(at('a.qcow2'))).toMatchObject({ corruptions: 0, leaks: 0 })
})

test('a backup, and then what changed since', async () => {
  await createImage(at('vm.qcow2'), { format: 'qcow2', size: '8M' })
  await using disk = await openImage(at('vm.qcow2'), { format: 'qcow2', write: true })
  await disk.write(1 << 20, noise(300 * K, 1))
  const bitmap = disk.bitmaps.add({ name: 'since-backup', granularity: 64 * K, persistent: true })
  const backup = await disk.read(0, disk.size)
  await disk.write(3 << 20, noise(100, 2))
  await disk.zero(1 << 20, 64 * K)
  const changed = bitmap.freeze()
  expect(changed.dirtyBytes).toBe(128 * K)
  for (const { offset, bytes } of changed.dirtyAreas({ maxBytes: 1 << 20 })) await disk.readInto(offset, backup.subarray(offset, offset + bytes))
  changed.drop()
  expect(Buffer.compare(backup, await disk.read(0, disk.size))).toBe(0)
  expect(bitmap.isEmpty).toBe(true)
})

describe('convert', () => {
  const how = { source: { format: 'qcow2' }, target: { format: 'qcow2' } } as const

  test('leaves bitmaps behind, unless it is told otherwise', async () => {
    await sample('a.qcow2')
    await convert(at('a.qcow2'), at('b.qcow2'), how)
    expect(await shownIn('b.qcow2')).toEqual([])
    await convert(at('a.qcow2'), at('c.qcow2'), { ...how, target: { format: 'qcow2', options: { cluster_size: '4k' } }, bitmaps: true })
    expect(await shownIn('c.qcow2')).toEqual(SAMPLE)
    expect(await shownIn('a.qcow2')).toEqual(SAMPLE)
  })

  test('with inconsistent ones', async () => {
    await sample('a.qcow2')
    await crash('a.qcow2')
    await expect(convert(at('a.qcow2'), at('b.qcow2'), { source: { format: 'qcow2', forceShare: true }, target: { format: 'qcow2' }, bitmaps: true })).rejects.toMatchObject({
      code: 'corrupt',
      message: "Cannot copy inconsistent bitmap 'off'",
    })
    expect(existsSync(at('b.qcow2'))).toBe(false)
    await convert(at('a.qcow2'), at('b.qcow2'), { source: { format: 'qcow2', forceShare: true }, target: { format: 'qcow2' }, bitmaps: 'skip-inconsistent' })
    expect(await shownIn('b.qcow2')).toEqual([])
  })

  test.each([
    ['raw', {}, "Format driver 'raw' does not support bitmaps"],
    ['qcow2', { compat: '0.10' }, "Format driver 'qcow2' does not support bitmaps"],
  ])('into %s %j is refused, and leaves no file', async (format, options, message) => {
    await sample('a.qcow2')
    await expect(convert(at('a.qcow2'), at('b'), { ...how, target: { format, options }, bitmaps: true })).rejects.toMatchObject({ code: 'unsupported', message })
    expect(existsSync(at('b'))).toBe(false)
  })

  test('from a format without bitmaps is refused', async () => {
    await createImage(at('a.raw'), { format: 'raw', size: '1M' })
    await expect(convert(at('a.raw'), at('b.qcow2'), { source: { format: 'raw' }, target: { format: 'qcow2' }, bitmaps: true })).rejects.toMatchObject({
      code: 'unsupported',
      message: 'Source lacks bitmap support',
    })
    expect(existsSync(at('b.qcow2'))).toBe(false)
  })
})

describe('copyBitmaps', () => {
  test.each([
    ['1M', 'on', 'exists', 'Failed to create bitmap on: Bitmap already exists: on'],
    ['1M', 'off', 'exists', 'Failed to create bitmap off: Bitmap already exists: off'],
    ['2M', 'other', 'invalid', "Failed to populate bitmap off: Bitmaps are of different sizes (destination size is 2097152, source size is 1048576) and can't be merged"],
  ])('copies all or none: into %s with a bitmap %s', async (size, name, code, message) => {
    await sample('a.qcow2')
    await createImage(at('b.qcow2'), { format: 'qcow2', size })
    await using source = await openImage(at('a.qcow2'), { format: 'qcow2' })
    await using target = await openImage(at('b.qcow2'), { format: 'qcow2', write: true })
    const there = target.bitmaps.add({ name, persistent: true })
    await expect(copyBitmaps({ source: source.node, target: target.node })).rejects.toMatchObject({ code, message })
    expect(target.bitmaps.list).toEqual([there])
  })

  test('says what it leaves out', async () => {
    await sample('a.qcow2')
    await crash('a.qcow2')
    await createImage(at('b.qcow2'), { format: 'qcow2', size: '1M' })
    await using source = await openImage(at('a.qcow2'), { format: 'qcow2', forceShare: true })
    await using target = await openImage(at('b.qcow2'), { format: 'qcow2', write: true })
    const skipped: string[] = []
    await copyBitmaps({ source: source.node, target: target.node, skipInconsistent: true, onSkipped: (name) => skipped.push(name) })
    expect(skipped).toEqual(['off', 'on'])
    expect(target.bitmaps.list).toEqual([])
  })
})
