import { statSync, writeFileSync } from 'node:fs'
import { createGraph } from '@blockloom/block-core'
import { BlockError } from '@blockloom/block-driver'
import { file } from '@blockloom/protocol-file'
import { describe, expect, it } from 'vitest'
import { createQcow2 } from '../src/create.ts'
import { qcow2 } from '../src/index.ts'
import { createContext, createInMemory, optionsOf } from './harness/create.ts'
import { MemoryChild } from './harness/memory-child.ts'
import { openQcow2, readAll } from './harness/open.ts'
import { haveReference, Reference } from './harness/reference.ts'

const SIZES = ['0', '1', '1M', '10000000'] as const
const PREALLOCATIONS = ['off', 'metadata', 'falloc', 'full'] as const

function matrix(): [size: string, options: string][] {
  const cases: [string, string][] = []
  for (const bits of [9, 10, 12, 14, 16, 21]) cases.push(['300M', `cluster_size=${2 ** bits}`])
  for (const bits of [1, 2, 4, 8, 32, 64]) cases.push(['1T', `refcount_bits=${bits}`])
  for (const size of SIZES) {
    cases.push([size, ''], [size, 'preallocation=metadata'], [size, 'preallocation=metadata,extended_l2=on'])
    cases.push([size, 'preallocation=falloc'], [size, 'preallocation=metadata,cluster_size=2k,refcount_bits=64'])
    cases.push([size, 'preallocation=falloc,cluster_size=512,refcount_bits=1'])
  }
  cases.push(['1M', 'preallocation=full'], ['10000000', 'preallocation=full,extended_l2=on'])
  for (const preallocation of PREALLOCATIONS) cases.push(['10M', `preallocation=${preallocation},data_file=d.img`])
  cases.push(['10M', 'data_file=d.img,data_file_raw=on'], ['10M', 'data_file=d.img,data_file_raw=on,extended_l2=on,preallocation=full'])
  for (const options of [
    'compat=v2',
    'compat=0.10,cluster_size=4k,preallocation=metadata',
    'compat=1.1,lazy_refcounts=on',
    'compression_type=zstd',
    'backing_file=base.raw,backing_fmt=raw',
    'backing_file=base.raw,backing_fmt=raw,cluster_size=512',
    'backing_file=base.raw,backing_fmt=raw,compat=v2',
    'backing_file=base.raw,backing_fmt=raw,extended_l2=on,preallocation=metadata',
  ]) {
    cases.push(['10M', options])
  }
  // The refcount table has to grow, twice even.
  cases.push(['10M', 'preallocation=metadata,cluster_size=512,refcount_bits=64'])
  cases.push(['10M', 'preallocation=metadata,cluster_size=512'], ['8G', 'cluster_size=512,refcount_bits=64'])
  return cases
}

describe.skipIf(!haveReference)('create against the reference', () => {
  it('makes the same images, byte for byte', { timeout: 120_000 }, async () => {
    using reference = new Reference()
    reference.img('create', '-q', '-f', 'raw', 'base.raw', '1M')
    for (const [size, options] of matrix()) {
      reference.create('theirs.qcow2', size, options)
      const theirs = reference.load('theirs.qcow2').content
      const files = new Map<string, MemoryChild>()
      const ours = (await createInMemory({ ...optionsOf(options), size }, files)).content
      expect(ours.length, `file size of ${size} ${options}`).toBe(theirs.length)
      const different = firstDifference(theirs, ours)
      if (different >= 0) expect.unreachable(`${size} ${options}: byte ${different} is ${ours[different]}, not ${theirs[different]}`)
      if (files.size > 0) expect(files.get('d.img')!.size(), `data file of ${options}`).toBe(reference.load('d.img').size())
    }
  })

  it('refuses what the reference refuses, in its words and its order', { timeout: 120_000 }, async () => {
    using reference = new Reference()
    reference.img('create', '-q', '-f', 'raw', 'base.raw', '1M')
    const base = 'backing_file=base.raw,backing_fmt=raw'
    const faults = [
      'cluster_size=1000', 'cluster_size=256', 'cluster_size=4M', 'cluster_size=0', 'compat=2', 'compression_type=lz4',
      'refcount_bits=3', 'refcount_bits=128', 'refcount_bits=foo', 'refcount_bits=8,compat=0.10', 'lazy_refcounts=on,compat=v2',
      'extended_l2=on,cluster_size=8k', 'extended_l2=on,compat=v2', 'extended_l2=foo', 'data_file_raw=on',
      'compression_type=zstd,compat=v2', 'backing_fmt=raw', 'data_file=d.img,compat=v2', `preallocation=metadata,${base}`,
      `data_file=d.img,data_file_raw=on,${base}`, 'preallocation=bar', 'cluster_size=-1', 'foo=bar',
    ].map(optionsOf)
    const sets = faults.map((fault) => ({ size: '1M', ...fault }) as Record<string, string>)
    for (const [i, a] of faults.entries()) {
      // A quarter of all pairs: enough to fix the order.
      for (const [j, b] of faults.entries()) {
        // The tool's own parser of sizes and choices comes before or after ours.
        if (j > i && (i + j) % 4 === 0 && b['preallocation'] !== 'bar') sets.push({ size: '1M', ...a, ...b })
      }
    }
    sets.push({ size: '137438953984', cluster_size: '512' }, { size: '3P' }, { size: '2P', extended_l2: 'on' })
    for (const options of sets) {
      const { size, ...rest } = options
      const text = Object.entries(rest).map(([name, value]) => `${name}=${value}`).join(',')
      const theirs = messageOf(() => reference.create('t.qcow2', size!, text))
      const ours = await createInMemory(options).then(() => undefined, (error: Error) => error)
      if (theirs === undefined) continue
      expect(ours, text).toBeInstanceOf(BlockError)
      expect(ours!.message, text).toBe(theirs)
    }
  })

  it('refuses a backing file name that does not fit, before the file is touched', async () => {
    const file = new MemoryChild({ content: new Uint8Array(100).fill(7) })
    const options = { size: '1M', backing_file: 'x'.repeat(400), backing_fmt: 'raw', cluster_size: '512' }
    await expect(createQcow2(createContext(file, options))).rejects.toMatchObject({
      message: `Could not assign backing file '${'x'.repeat(400)}' with format 'raw': No space left on device`,
    })
    expect(file.content).toEqual(new Uint8Array(100).fill(7))
  })
})

describe('create', () => {
  it('writes the header last, after a flush', async () => {
    for (const preallocation of ['off', 'metadata', 'full']) {
      const file = new MemoryChild({ content: new Uint8Array(1 << 20).fill(0x51) })
      file.recording = true
      await createQcow2(createContext(file, { size: '10M', preallocation }))
      const { events } = file
      expect(events[0]).toMatchObject({ op: 'resize', size: 0 })
      expect(events.slice(-3).map((event) => event.op)).toEqual(['flush', 'write', 'flush'])
      expect(events.filter((event) => event.op === 'write' && event.offset < 65536)).toHaveLength(1)
    }
  })

  it('overwrites a device that keeps its size and its old bytes', async () => {
    for (const preallocation of PREALLOCATIONS) {
      const file = new FixedChild(24 << 20)
      await createQcow2(createContext(file, { size: '10M', preallocation: preallocation === 'full' ? 'metadata' : preallocation, cluster_size: '4k' }))
      const image = await openQcow2({ file })
      expect((await readAll(image)).every((byte) => byte === 0), preallocation).toBe(true)
      const { corruptions, leaks, checkErrors } = await image.check!.check({ fix: 'none' })
      expect({ corruptions, leaks, checkErrors }, preallocation).toEqual({ corruptions: 0, leaks: 0, checkErrors: 0 })
    }
  })

  it('works on host files, and reserves their space', async () => {
    using reference = new Reference()
    const path = reference.path('o.qcow2')
    writeFileSync(path, new Uint8Array(9 << 20).fill(0x51))
    const graph = createGraph({ drivers: [qcow2, file] })
    await graph.create({ format: 'qcow2', filename: path, options: { size: '4M', preallocation: 'falloc' } })
    expect(statSync(path).size).toBe(4 * 65536 + 65536 + (4 << 20))
    expect(statSync(path).blocks * 512).toBeGreaterThanOrEqual(4 << 20)
    if (haveReference) reference.check('o.qcow2')

    const data = reference.path('data.raw')
    await graph.create({ format: 'qcow2', filename: path, options: { size: '4M', data_file: data, data_file_raw: 'on', preallocation: 'full' } })
    expect(statSync(data).size).toBe(4 << 20)
    expect(statSync(data).blocks * 512).toBeGreaterThanOrEqual(4 << 20)
    if (haveReference) reference.check('o.qcow2')
    await graph.close()
  })

  it('stops when it is aborted', async () => {
    const controller = new AbortController()
    controller.abort(new Error('enough'))
    const context = { ...createContext(new MemoryChild(), { size: '1G', preallocation: 'metadata' }), signal: controller.signal }
    await expect(createQcow2(context)).rejects.toThrow('enough')
  })

  it('reads as zeroes and checks clean whatever was preallocated', async () => {
    using reference = new Reference()
    for (const preallocation of PREALLOCATIONS) {
      const file = await createInMemory({ size: '5M', preallocation, cluster_size: '1k', refcount_bits: '2' })
      const image = await openQcow2({ file })
      expect(await image.size()).toBe(5 << 20)
      expect((await readAll(image)).every((byte) => byte === 0)).toBe(true)
      if (!haveReference) continue
      writeFileSync(reference.path('o.qcow2'), file.content)
      reference.check('o.qcow2')
    }
  })
})

/** A host device: full of old data, and its size is what it is. */
class FixedChild extends MemoryChild {
  override readonly zeroInit = false

  constructor(size: number) {
    super({ content: new Uint8Array(size).fill(0xff) })
  }

  override resize(): Promise<void> {
    return Promise.reject(new BlockError('unsupported', 'Cannot resize device files'))
  }
}

function messageOf(run: () => void): string | undefined {
  try {
    run()
    return undefined
  } catch (error) {
    const { stderr } = (error as { cause: { stderr: string } }).cause
    return stderr.trim().replace(/^qemu-img: (t\.qcow2: )?/, '')
  }
}

/** The first byte that differs and that the reference did not merely leave behind: a refcount table that moved is free. */
function firstDifference(theirs: Uint8Array, ours: Uint8Array): number {
  if (Buffer.compare(theirs, ours) === 0) return -1
  const view = new DataView(theirs.buffer, theirs.byteOffset)
  const cluster = 2 ** view.getUint32(20)
  const moved = Number(view.getBigUint64(48)) !== cluster
  for (let at = 0; at < theirs.length; at++) {
    if (at % cluster === 0 && Buffer.compare(theirs.subarray(at, at + cluster), ours.subarray(at, at + cluster)) === 0) {
      at += cluster - 1
      continue
    }
    if (theirs[at] !== ours[at] && !(moved && ours[at] === 0 && looksLikeOldTable(view, at, cluster))) return at
  }
  return -1
}

/** An entry of an earlier refcount table: a cluster offset inside the file. */
function looksLikeOldTable(view: DataView, at: number, cluster: number): boolean {
  const entry = Number(view.getBigUint64(at - (at % 8)))
  return entry > 0 && entry % cluster === 0 && entry < view.byteLength
}
