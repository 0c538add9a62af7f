import { rmSync } from 'node:fs'
import { symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createGraph, type Gate, type GateRequest, type OpenOptions } from '@blockloom/block-core'
import { isBlockError, type BlockError } from '@blockloom/block-driver'
import { raw } from '@blockloom/format-raw'
import { oracleAvailable, qemuImg, rawContent, tempFolder } from '@blockloom/oracle'
import { file } from '@blockloom/protocol-file'
import { createMemoryDisk, memoryDriver } from '@blockloom/protocol-memory'
import { afterAll, describe, expect, it } from 'vitest'
import { qcow2 } from '../../src/index.ts'
import { goldenCorpus } from '../mutation/corpus.ts'
import { EXTENSION } from '../../src/on-disk/header-extensions.ts'
import { FIELD, Handle } from './handle.ts'

// Files that an image names, and requests that nobody should send.

const text = (value: string): Uint8Array => new TextEncoder().encode(value)
const corpus = new Map(goldenCorpus().map((sample) => [sample.name, sample]))

/** An image that names a backing file, and perhaps its format. */
function overlay(backing: string, format?: string): Uint8Array {
  const handle = new Handle(corpus.get('zstd')!.image)
  if (format === undefined) handle.extensions()
  else handle.extensions(EXTENSION.backingFormat, format.length, text(format))
  handle.set64(FIELD.backingOffset, 1024)
  handle.set32(FIELD.backingSize, text(backing).length)
  handle.put(1024, text(backing))
  return handle.bytes
}

/** An image that names a data file. */
function withDataFile(name: string): Uint8Array {
  const handle = new Handle(corpus.get('data-file')!.image)
  handle.extensions(EXTENSION.dataFile, text(name).length, text(name))
  return handle.bytes
}

interface Opened {
  readonly asked: GateRequest[]
  readonly open: () => Promise<Uint8Array>
}

function prepare(files: Readonly<Record<string, Uint8Array>>, gate: 'allow' | 'deny' | 'default', options: OpenOptions = {}, more: Readonly<Record<string, unknown>> = {}): Opened {
  const asked: GateRequest[] = []
  const ask: Gate = (request) => {
    asked.push(request)
    return gate === 'allow'
  }
  const disks = new Map(Object.entries(files).map(([name, bytes]) => [name, createMemoryDisk(bytes)]))
  const open = async (): Promise<Uint8Array> => {
    await using graph = createGraph({ drivers: [qcow2, raw, file, memoryDriver(disks)], ...(gate === 'default' ? {} : { gate: ask }) })
    const node = await graph.openSpec({ driver: 'qcow2', file: { driver: 'memory', name: 'top' }, ...more }, { readOnly: true, ...options })
    await node.info()
    const bytes = new Uint8Array(options.noIo ? 0 : node.size)
    await node.read(0, bytes)
    return bytes
  }
  return { asked, open }
}

async function refusal(work: Promise<unknown>): Promise<BlockError> {
  const error: unknown = await work.then(
    () => new Error('was not refused'),
    (reason: unknown) => reason,
  )
  if (!isBlockError(error)) throw error
  return error
}

const JSON_FILE = 'json:{"driver":"raw","file":{"driver":"file","filename":"/etc/passwd"}}'

describe('files that an image names', () => {
  it('are not opened by default', async () => {
    expect(await refusal(prepare({ top: overlay('/etc/passwd', 'raw') }, 'default').open())).toMatchObject({ code: 'denied', detail: { slot: 'backing', filename: '/etc/passwd' } })
    expect(await refusal(prepare({ top: withDataFile('/etc/passwd') }, 'default').open())).toMatchObject({ code: 'denied', detail: { slot: 'data-file', filename: '/etc/passwd' } })
  })

  it('are shown to the gate as the image has them, and where they lead', async () => {
    const { asked, open } = prepare({ top: overlay('../../etc/passwd', 'raw') }, 'deny')
    expect((await refusal(open())).code).toBe('denied')
    expect(asked).toEqual([{ slot: 'backing', driver: 'qcow2', image: 'memory:top', filename: '../../etc/passwd', resolved: 'memory:../../etc/passwd', format: 'raw' }])
  })

  it.each([JSON_FILE, 'json:{', 'json:{}', 'json:[]', 'json:null', 'json:{"driver":"qcow2","file":"json:{}"}', 'json:{"driver":"qcow2","file":null}', `json:${'['.repeat(900)}`])('a backing file that is %s is denied, then refused', async (name) => {
    expect((await refusal(prepare({ top: overlay(name, 'raw') }, 'deny').open())).code).toBe('denied')
    if (name !== JSON_FILE) await refusal(prepare({ top: overlay(name, 'raw') }, 'allow').open())
  })

  it.each(['json:{}', JSON_FILE, '/etc/passwd', ''])('the data file %j is neither opened nor asked for when only metadata is wanted (CVE-2024-4467)', async (name) => {
    const { asked, open } = prepare({ top: withDataFile(name) }, 'allow', { noIo: true, noBacking: true })
    await open()
    expect(asked).toEqual([])
    expect((await refusal(prepare({ top: withDataFile(name) }, 'deny').open())).code).toMatch(/denied|invalid/)
  })

  it('a backing file is neither opened nor asked for without backing', async () => {
    const { asked, open } = prepare({ top: overlay('/etc/passwd', 'raw') }, 'allow', { noBacking: true })
    await open()
    expect(asked).toEqual([])
  })

  it('what the consumer names goes before what the image names, and null is none', async () => {
    const { asked, open } = prepare({ top: overlay('/etc/passwd', 'raw') }, 'deny', {}, { backing: null })
    await open()
    expect(asked).toEqual([])
  })

  it('the format of a backing file is not guessed', async () => {
    const error = await refusal(prepare({ top: overlay('memory:base'), base: new Uint8Array(65536) }, 'allow').open())
    expect(error.message).toMatch(/format/)
  })

  it('a backing file of another format than the image says is refused', async () => {
    const error = await refusal(prepare({ top: overlay('memory:base', 'qcow2'), base: new Uint8Array(65536) }, 'allow').open())
    expect(error.message).toBe('Could not open backing file: Image is not in qcow2 format')
  })

  it.each(['nonsense', 'file', 'qcow2\0'])('a backing format of %j gives bytes or a BlockError', async (format) => {
    await prepare({ top: overlay('memory:base', format), base: new Uint8Array(65536) }, 'allow').open().catch((error: unknown) => {
      if (!isBlockError(error)) throw error
    })
  })

  it('a name with a NUL ends there', async () => {
    const { asked, open } = prepare({ top: overlay('memory:base\0/etc/passwd', 'raw'), base: new Uint8Array(65536) }, 'allow')
    await open()
    expect(asked.map(({ filename }) => filename)).toEqual(['memory:base'])
  })
})

describe('backing chains', () => {
  it('that lead to themselves are refused', async () => {
    const error = await refusal(prepare({ top: overlay('memory:top', 'qcow2') }, 'allow').open())
    expect(error.message).toContain("Backing file 'memory:top' creates an infinite loop.")
  })

  it('that lead back to an image above are refused', async () => {
    const files = { top: overlay('memory:b', 'qcow2'), b: overlay('memory:c', 'qcow2'), c: overlay('memory:b', 'qcow2') }
    expect((await refusal(prepare(files, 'allow').open())).message).toContain('creates an infinite loop.')
    const back = { top: overlay('memory:b', 'qcow2'), b: overlay('memory:top', 'qcow2') }
    expect((await refusal(prepare(back, 'allow').open())).message).toContain('creates an infinite loop.')
  })

  it('that lead to themselves under other names end', async () => {
    // Every name is a new one, so only the depth ends it.
    const name = 'json:{"driver":"qcow2","file":{"driver":"memory","name":"top"}}'
    await refusal(prepare({ top: overlay(name) }, 'allow').open())
  })

  it('of any depth are read, or refused by a BlockError', { timeout: 60_000 }, async () => {
    const chain = (length: number): Record<string, Uint8Array> =>
      Object.fromEntries(Array.from({ length }, (_, i) => [i === 0 ? 'top' : `image${i}`, i === length - 1 ? corpus.get('zstd')!.image : overlay(`memory:image${i + 1}`, 'qcow2')]))
    await prepare(chain(60), 'allow').open()
    await refusal(prepare(chain(1200), 'allow').open())
  })

  it.runIf(oracleAvailable())('that go through a link to themselves are refused, and others read like the reference', async () => {
    const folder = tempFolder()
    try {
      const image = join(folder, 'image.qcow2')
      writeFileSync(image, overlay('link', 'qcow2'))
      symlinkSync(image, join(folder, 'link'))
      await using graph = createGraph({ drivers: [qcow2, raw, file], gate: 'allow' })
      await refusal(graph.openFilename(image, { format: 'qcow2' }, { readOnly: true }))
      // Shorter and longer than the disk, and no multiple of a cluster.
      for (const size of [0, 1, 5000, 99_999, 307_200, 500_001]) {
        const base = join(folder, `base${size}`)
        const top = join(folder, `top${size}`)
        writeFileSync(base, new Uint8Array(size).fill(0x5a))
        qemuImg('create', '-q', '-f', 'qcow2', '-o', 'cluster_size=8k', '-b', base, '-F', 'raw', top, '300k')
        await using node = await graph.openFilename(top, { format: 'qcow2' }, { readOnly: true })
        const bytes = new Uint8Array(node.size)
        await node.read(0, bytes)
        expect(Buffer.compare(bytes, rawContent(top, 'qcow2')), `backing file of ${size} bytes`).toBe(0)
      }
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})

describe.each([...corpus.values()].map((sample) => [sample.name, sample] as const))('requests to %s', (_, sample) => {
  const disks = new Map([['top', createMemoryDisk(sample.image)]])
  if (sample.backing !== undefined) disks.set('base', createMemoryDisk(sample.backing))
  if (sample.dataFile !== undefined) disks.set('data', createMemoryDisk(sample.dataFile))
  const graph = createGraph({ drivers: [qcow2, raw, memoryDriver(disks)], secrets: () => new TextEncoder().encode(sample.secret) })
  afterAll(() => graph.close())
  const children = {
    ...(sample.backing === undefined ? {} : { backing: { driver: 'raw', file: { driver: 'memory', name: 'base' } } }),
    ...(sample.dataFile === undefined ? {} : { 'data-file': { driver: 'memory', name: 'data' } }),
    ...(sample.secret === undefined ? {} : { 'encrypt.key-secret': 'key' }),
  }
  const open = () => graph.openSpec({ driver: 'qcow2', file: { driver: 'memory', name: 'top' }, ...children }, { unmap: true })

  it('outside the disk are refused (CVE-2008-0928)', async () => {
    await using node = await open()
    const { size } = node
    const before = disks.get('top')!.toBytes()
    for (const offset of [-1, -512, size - 511, size, size + 1, 2 ** 31 - 256, 2 ** 32 - 256, 2 ** 53 - 1, 2 ** 53, 2 ** 63, 0.5, Number.NaN, Infinity, -Infinity]) {
      for (const request of [
        () => node.read(offset, new Uint8Array(512)),
        () => node.write(offset, new Uint8Array(512)),
        () => node.zero(offset, 512),
        () => node.discard(offset, 512),
        () => node.extents(offset, 512),
        () => node.writeCompressed(offset, new Uint8Array(512)),
      ]) {
        expect((await refusal(request())).code, `offset ${offset}`).toBe('range')
      }
    }
    for (const bytes of [-1, 2 ** 53, Number.NaN, Infinity, 0.5]) expect((await refusal(node.zero(0, bytes))).code).toBe('range')
    expect(Buffer.compare(disks.get('top')!.toBytes(), before)).toBe(0)
  })

  it('of no bytes change nothing', async () => {
    await using node = await open()
    // Fills the caches: some paths are only taken then.
    await node.read(0, new Uint8Array(node.size))
    const before = disks.get('top')!.toBytes()
    for (const offset of [0, 1, 512, node.limits.clusterSize, 7 * node.limits.clusterSize, node.size - 1, node.size]) {
      await node.read(offset, new Uint8Array(0))
      await node.write(offset, new Uint8Array(0))
      await node.zero(offset, 0)
      await node.discard(offset, 0)
      await node.writeCompressed(offset, new Uint8Array(0)).catch((error: unknown) => {
        if (!isBlockError(error)) throw error
      })
    }
    await node.flush()
    expect(Buffer.compare(disks.get('top')!.toBytes(), before)).toBe(0)
  })
})
