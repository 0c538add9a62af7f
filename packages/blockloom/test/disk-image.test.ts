import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isBlockError } from '@blockloom/block-driver'
import { convert, createImage, openImage, type CopyProgress } from 'blockloom'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

let folder: string
const at = (name: string): string => join(folder, name)
beforeEach(() => { folder = mkdtempSync(join(tmpdir(), 'blockloom-')) })
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const noise = (length: number, seed: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (Math.imul(i + seed, 2654435761) >>> 13) & 255)

async function sample(name: string, format = 'qcow2'): Promise<void> {
  await createImage(at(name), { format, size: '8M' })
  await using disk = await openImage(at(name), { format, write: true })
  await disk.write(100_000, noise(300_000, 1))
  await disk.write(5 << 20, noise(70_000, 2))
}
async function contentOf(name: string, format: string): Promise<Uint8Array> {
  await using disk = await openImage(at(name), { format, implicit: 'allow' })
  return disk.read(0, disk.size)
}

describe('openImage', () => {
  test('reads back what was written, after a reopen', async () => {
    await sample('a.qcow2')
    await using disk = await openImage(at('a.qcow2'), { format: 'qcow2' })
    expect([disk.size, disk.format, disk.readOnly, disk.filename]).toEqual([8 << 20, 'qcow2', true, at('a.qcow2')])
    expect(await disk.read(100_000, 300_000)).toEqual(noise(300_000, 1))
    expect(await disk.read(99_000, 10)).toEqual(new Uint8Array(10))
    await expect(disk.write(0, new Uint8Array(1))).rejects.toMatchObject({ code: 'read-only', errno: 'EPERM' })
    await expect(disk.read(8 << 20, 1)).rejects.toMatchObject({ code: 'range' })
    await expect(disk.read(0, 2 ** 40)).rejects.toMatchObject({ code: 'range' })
  })

  test('extents cover the disk, in order, neighbours merged', async () => {
    await sample('a.qcow2')
    await using disk = await openImage(at('a.qcow2'), { format: 'qcow2' })
    const seen: [number, number, boolean][] = []
    for await (const { offset, length, data } of disk.extents()) seen.push([offset, length, data])
    const k = 65536
    expect(seen).toEqual([[0, k, false], [k, 6 * k, true], [7 * k, 73 * k, false], [80 * k, 2 * k, true], [82 * k, 46 * k, false]])
    const part: number[] = []
    for await (const { offset, length } of disk.extents({ start: 100_000, end: 500_000 })) part.push(offset, length)
    expect([part[0], part.reduce((sum, n, i) => (i % 2 ? sum + n : sum), 0)]).toEqual([100_000, 400_000])
  })

  test('web streams carry the content out and in', async () => {
    await sample('a.qcow2')
    await createImage(at('b.raw'), { format: 'raw', size: '8M' })
    {
      await using from = await openImage(at('a.qcow2'), { format: 'qcow2' })
      await using to = await openImage(at('b.raw'), { format: 'raw', write: true })
      await from.readable().pipeTo(to.writable())
    }
    expect(Buffer.from(await contentOf('a.qcow2', 'qcow2')).equals(readFileSync(at('b.raw')))).toBe(true)
    await using again = await openImage(at('a.qcow2'), { format: 'qcow2' })
    const reader = again.readable({ start: 100_000, end: 100_010 }).getReader()
    expect((await reader.read()).value).toEqual(noise(300_000, 1).subarray(0, 10))
    expect((await reader.read()).done).toBe(true)
  })

  test('a backing file that an image names is not opened unless that is allowed', async () => {
    await sample('base.qcow2')
    await createImage(at('top.qcow2'), { format: 'qcow2', size: '8M', options: { backing_file: 'base.qcow2', backing_fmt: 'qcow2' } })
    await expect(openImage(at('top.qcow2'), { format: 'qcow2' })).rejects.toMatchObject({ code: 'denied' })
    await using disk = await openImage(at('top.qcow2'), { format: 'qcow2', implicit: ({ filename }) => filename === 'base.qcow2' })
    expect(await disk.read(100_000, 300_000)).toEqual(noise(300_000, 1))
  })

  test('a missing file, a folder and a wrong format are told apart', async () => {
    await expect(openImage(at('none'), { format: 'raw' })).rejects.toMatchObject({ code: 'not-found', errno: 'ENOENT' })
    await expect(openImage(folder, { format: 'raw' })).rejects.toSatisfy((error) => isBlockError(error))
    writeFileSync(at('text'), 'hello')
    await expect(openImage(at('text'), { format: 'qcow2' })).rejects.toThrow('Image is not in qcow2 format')
    await expect(openImage(at('text'), { format: 'qcow3' })).rejects.toThrow("Unknown driver 'qcow3'")
  })
})

describe('convert', () => {
  test.each([
    ['qcow2', {}],
    ['qcow2', { compress: true }],
    ['raw', {}],
  ])('to %s, %j: same content, progress to the end', async (format, more) => {
    await sample('a.qcow2')
    const seen: CopyProgress[] = []
    await convert(at('a.qcow2'), at('out'), { source: { format: 'probe' }, target: { format }, onProgress: (p) => seen.push(p), ...more })
    expect(Buffer.from(await contentOf('out', format)).equals(await contentOf('a.qcow2', 'qcow2'))).toBe(true)
    expect(seen.at(-1)!.done).toBe(seen.at(-1)!.total)
    if (format === 'raw') expect(statSync(at('out')).blocks * 512).toBeLessThan(1 << 20)
  })

  test('an abort removes the target that it made, and leaves one that was there', async () => {
    await sample('a.qcow2')
    const options = () => {
      const abort = new AbortController()
      return { source: { format: 'qcow2' }, target: { format: 'raw' }, signal: abort.signal, onProgress: () => abort.abort(new Error('enough')) }
    }
    await expect(convert(at('a.qcow2'), at('new'), options())).rejects.toThrow('enough')
    expect(existsSync(at('new'))).toBe(false)
    writeFileSync(at('old'), 'x')
    await expect(convert(at('a.qcow2'), at('old'), options())).rejects.toThrow('enough')
    expect(existsSync(at('old'))).toBe(true)
    await expect(convert(at('none'), at('new'), { source: { format: 'raw' }, target: { format: 'raw' } })).rejects.toMatchObject({ code: 'not-found' })
    expect(existsSync(at('new'))).toBe(false)
  })
})
