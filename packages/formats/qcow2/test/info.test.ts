import { describe, expect, it } from 'vitest'
import { MemoryChild } from './harness/memory-child.ts'
import { openQcow2 } from './harness/open.ts'
import { haveReference, Reference } from './harness/reference.ts'

const CASES: readonly [name: string, options: string, then?: (reference: Reference) => void][] = [
  ['version 3', ''],
  ['version 2', 'compat=v2'],
  ['every v3 feature', 'lazy_refcounts=on,extended_l2=on,compression_type=zstd,refcount_bits=1'],
  ['a raw data file', 'data_file=d.img,data_file_raw=on'],
  ['a data file', 'data_file=d.img,cluster_size=4k'],
  [
    'bitmaps',
    '',
    (reference) => {
      reference.img('bitmap', '--add', 'i.qcow2', 'b0')
      reference.img('bitmap', '--add', '--disable', '-g', '4096', 'i.qcow2', 'b1')
    },
  ],
]

describe.skipIf(!haveReference)('info against the reference', () => {
  it.each(CASES)('%s', async (_name, options, then) => {
    using reference = new Reference()
    reference.create('i.qcow2', '1M', options)
    then?.(reference)
    expect(await infoOf(reference)).toEqual(expectedOf(reference))
    const data = (await infoOf(reference))['format-specific'] as { data: object }
    expect(Object.keys(data.data)).toEqual(Object.keys((expectedOf(reference)['format-specific'] as { data: object }).data))
  })

  it('shows the dirty and corrupt bits and bitmaps in use', async () => {
    using reference = new Reference()
    reference.create('i.qcow2', '1M')
    reference.img('bitmap', '--add', 'i.qcow2', 'b0')
    const child = reference.load('i.qcow2')
    // Incompatible features: dirty, corrupt.
    child.content[79] = 3
    // The bitmap directory entry: flag in_use.
    const directory = Number(new DataView(child.content.buffer).getBigUint64(findBitmaps(child) + 16))
    child.content[directory + 15]! |= 1
    reference.save('i.qcow2', child)
    const info = await infoOf(reference)
    expect(info).toEqual(expectedOf(reference))
    expect(info['dirty-flag']).toBe(true)
    expect(info['format-specific']).toMatchObject({ data: { corrupt: true, bitmaps: [{ flags: ['in-use', 'auto'] }] } })
  })

  it('refuses a bitmap directory beyond the end of the file', async () => {
    using reference = new Reference()
    reference.create('i.qcow2', '1M')
    reference.img('bitmap', '--add', 'i.qcow2', 'b0')
    const child = reference.load('i.qcow2')
    new DataView(child.content.buffer).setBigUint64(findBitmaps(child) + 16, 0x7fff_0000_0000n)
    const image = await openQcow2({ file: child, mode: { readOnly: true } })
    await expect(image.info!()).rejects.toMatchObject({ code: 'corrupt', message: expect.stringContaining('itmap directory') })
  })
})

/** Where the data of the bitmaps extension is. */
function findBitmaps(child: MemoryChild): number {
  const view = new DataView(child.content.buffer)
  let at = 112
  while (view.getUint32(at) !== 0x23852875) at += 8 + Math.ceil(view.getUint32(at + 4) / 8) * 8
  return at + 8
}

async function infoOf(reference: Reference): Promise<Record<string, unknown>> {
  const dataFile = new MemoryChild({ name: 'data-file' })
  const external = reference.img('info', '--output=json', 'i.qcow2').includes('data-file')
  const image = await openQcow2({
    file: reference.load('i.qcow2'),
    mode: { readOnly: true },
    ...(external ? { dataFile } : {}),
  })
  return (await image.info!()) as Record<string, unknown>
}

/** What the reference says, without what is not the format's. */
function expectedOf(reference: Reference): Record<string, unknown> {
  const all = JSON.parse(reference.img('info', '--output=json', 'i.qcow2')) as Record<string, unknown>
  const { 'virtual-size': _size, filename: _name, format: _format, 'actual-size': _actual, ...rest } = all
  return rest
}
