import type { ChildRequest } from '@blockloom/block-driver'
import { afterAll, describe, expect, it } from 'vitest'
import { openQcow2, readAll } from './harness/open.ts'
import { haveReference, Reference } from './harness/reference.ts'

const layouts: Record<string, string> = {
  'version 2': 'compat=0.10',
  'version 3': 'compat=1.1',
  '512-byte clusters': 'cluster_size=512',
  '2 MiB clusters': 'cluster_size=2M',
  '1-bit refcounts': 'refcount_bits=1',
  '64-bit refcounts': 'refcount_bits=64',
  'extended L2': 'extended_l2=on',
  'extended L2, 16k clusters': 'extended_l2=on,cluster_size=16k',
  'zstd': 'compression_type=zstd',
  'metadata preallocated': 'preallocation=metadata',
}

describe.runIf(haveReference)('images of the reference', () => {
  const tools = new Reference()
  afterAll(() => tools[Symbol.dispose]())

  for (const [what, options] of Object.entries(layouts)) {
    it(`reads ${what}`, async () => {
      const name = `${what.replaceAll(/\W/g, '-')}.qcow2`
      tools.create(name, '10000384', options)
      const clusterSize = Number(/"cluster-size": (\d+)/.exec(tools.img('info', '--output=json', name))![1])
      const isCompressible = !options.includes('preallocation')
      tools.io(
        name,
        ...(isCompressible ? [`write -c -P 7 ${3 * 2 ** 21} ${clusterSize}`, `write -c -P 8 ${2 ** 21} ${clusterSize}`] : []),
        'write -P 1 0 1M', 'write -P 2 1500k 70000', 'write -P 3 4m 3k', 'write -P 4 6500k 512', 'write -P 9 8m 1M',
        ...(options === 'compat=0.10' ? [] : ['write -z 1m 200k', 'write -zu 512k 128k', 'discard 8m 300k']),
      )
      const image = await openQcow2({ file: tools.load(name), mode: { readOnly: true } })
      const expected = tools.raw(name)
      for (const step of [1 << 24, 65536 + 512, 4096]) {
        expect(Buffer.compare(await readAll(image, step), expected), `step ${step}`).toBe(0)
      }
    })
  }

  for (const type of ['zlib', 'zstd']) {
    it(`reads an image compressed with ${type}, in small and unaligned pieces`, async () => {
      const { randomFillSync } = await import('node:crypto')
      const { writeFileSync } = await import('node:fs')
      const content = Buffer.alloc(3_000_320)
      for (let at = 0; at < content.length; at += 8192) content.write(`block ${at} `.repeat(300), at)
      randomFillSync(content, 1_000_000, 200_000)
      writeFileSync(tools.path('content'), content)
      tools.img('convert', '-c', '-f', 'raw', '-O', 'qcow2', '-o', `compression_type=${type}`, 'content', `${type}.qcow2`)
      const file = tools.load(`${type}.qcow2`)
      const image = await openQcow2({ file, mode: { readOnly: true } })
      file.reads = 0
      expect(Buffer.compare(await readAll(image, 4096), content)).toBe(0)
      // 46 clusters: each is fetched once, not once per request.
      expect(file.reads).toBeLessThan(120)
      expect(Buffer.compare(await readAll(image, 100_003), content)).toBe(0)
    })
  }

  it('reads through a backing file that is shorter than the image', async () => {
    tools.create('base.qcow2', '1M')
    tools.io('base.qcow2', 'write -P 5 0 1M')
    tools.create('top.qcow2', '3M', '', ['-b', 'base.qcow2', '-F', 'qcow2'])
    tools.io('top.qcow2', 'write -P 6 300k 4k', 'write -P 7 2m 64k', 'write -z 64k 64k')
    const base = await openQcow2({ file: tools.load('base.qcow2'), mode: { readOnly: true } })
    const { MemoryChild } = await import('./harness/memory-child.ts')
    const requests: { name: string; request: ChildRequest }[] = []
    const image = await openQcow2({
      file: tools.load('top.qcow2'),
      backing: new MemoryChild({ content: await readAll(base) }),
      mode: { readOnly: true },
      requests,
    })
    expect(Buffer.compare(await readAll(image, 99_999), tools.raw('top.qcow2'))).toBe(0)
    expect(requests.find((each) => each.name === 'backing')!.request.fromImage).toEqual({ filename: 'base.qcow2', format: 'qcow2' })
    expect(image.backing!.named).toEqual({ filename: 'base.qcow2', format: 'qcow2' })
  })

  for (const raw of ['off', 'on']) {
    it(`reads an external data file, data_file_raw=${raw}`, async () => {
      tools.create(`ext-${raw}.qcow2`, '4M', `data_file=ext-${raw}.data,data_file_raw=${raw}`)
      tools.io(`ext-${raw}.qcow2`, 'write -P 5 0 64k', 'write -P 6 1m 100k', 'write -z 3m 64k')
      const image = await openQcow2({ file: tools.load(`ext-${raw}.qcow2`), dataFile: tools.load(`ext-${raw}.data`), mode: { readOnly: true } })
      expect(Buffer.compare(await readAll(image), tools.raw(`ext-${raw}.qcow2`))).toBe(0)
    })
  }

  it('does not open the data file when only metadata is asked for', async () => {
    tools.create('noio.qcow2', '4M', 'data_file=noio.data')
    const requests: { name: string; request: ChildRequest }[] = []
    const image = await openQcow2({ file: tools.load('noio.qcow2'), mode: { readOnly: true, noIo: true }, requests })
    expect(requests.map((each) => each.name)).not.toContain('data-file')
    expect(await image.extents!(0, 4 << 20)).toEqual({ kind: 'absent', bytes: 4 << 20 })
  })

  it('opens internal snapshots read-only', async () => {
    tools.create('snap.qcow2', '2M')
    tools.io('snap.qcow2', 'write -P 1 0 1M')
    tools.img('snapshot', '-c', 'first', 'snap.qcow2')
    const then = tools.raw('snap.qcow2')
    tools.io('snap.qcow2', 'write -P 2 64k 256k', 'write -z 512k 64k')
    const image = await openQcow2({ file: tools.load('snap.qcow2'), mode: { readOnly: true } })
    expect(image.snapshots!.list()).toMatchObject([{ id: '1', name: 'first', diskSize: 2 << 20, vmStateSize: 0 }])
    const snapshot = await image.snapshots!.openReadOnly('first')
    expect(Buffer.compare(await readAll(snapshot), then)).toBe(0)
    expect(Buffer.compare(await readAll(image), tools.raw('snap.qcow2'))).toBe(0)
    await expect(image.snapshots!.openReadOnly('second')).rejects.toMatchObject({ code: 'not-found' })
  })

  it('tells extents as the reference maps them', async () => {
    tools.create('map.qcow2', '1G')
    tools.io('map.qcow2', 'write -P 1 0 300k', 'write -z 1m 128k', 'write -P 2 900m 64k')
    const image = await openQcow2({ file: tools.load('map.qcow2'), mode: { readOnly: true } })
    const found: unknown[] = []
    for (let at = 0; at < 2 ** 30; ) {
      const extent = await image.extents!(at, 2 ** 30 - at)
      found.push([at, extent.bytes, extent.kind, ('host' in extent && extent.host?.offset) || undefined])
      at += extent.bytes
    }
    const map = JSON.parse(tools.img('map', '--output=json', 'map.qcow2')) as { start: number; length: number; present: boolean; zero: boolean; data: boolean; offset?: number }[]
    const data = found.filter((each) => (each as unknown[])[2] === 'data')
    expect(data).toEqual(map.filter((each) => each.data).map((each) => [each.start, each.length, 'data', each.offset]))
    expect(found).toContainEqual([1 << 20, 128 << 10, 'zero', undefined])
  })
})
