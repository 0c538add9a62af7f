import type { Extent, Measurement } from '@blockloom/block-driver'
import { parseOptions } from '@blockloom/block-driver'
import { describe, expect, it } from 'vitest'
import { qcow2CreateOptions, type Qcow2CreateOptions } from '../src/create-options.ts'
import { measureBitmaps, measureQcow2 } from '../src/measure.ts'
import { createInMemory, optionsOf } from './harness/create.ts'
import { openQcow2 } from './harness/open.ts'
import { haveReference, Reference } from './harness/reference.ts'

function measure(size: number, options: string, source?: AsyncIterable<Extent>): Promise<Measurement> {
  const parsed = parseOptions(qcow2CreateOptions, { ...optionsOf(options), size }) as Qcow2CreateOptions
  return measureQcow2({ options: parsed, size, ...(source === undefined ? {} : { source }) })
}

/** What is allocated in a qcow2 image in memory. */
async function* extentsOf(reference: Reference, name: string): AsyncGenerator<Extent> {
  const image = await openQcow2({ file: reference.load(name), mode: { readOnly: true } })
  const size = await image.size()
  for (let at = 0; at < size; ) {
    const extent = await image.extents!(at, size - at)
    yield extent
    at += extent.bytes
  }
}

const OPTIONS = [
  '', 'cluster_size=512', 'cluster_size=4k', 'cluster_size=2M', 'refcount_bits=1', 'refcount_bits=64', 'extended_l2=on', 'compat=0.10',
  'cluster_size=1k,refcount_bits=64', 'preallocation=metadata', 'preallocation=falloc', 'preallocation=full', 'data_file=d.img',
  'extended_l2=on,cluster_size=16k,refcount_bits=32', 'lazy_refcounts=on', 'compression_type=zstd', 'backing_file=b.raw,backing_fmt=raw',
]

describe.skipIf(!haveReference)('measure against the reference', () => {
  it('gives the same numbers for a size', { timeout: 60_000 }, async () => {
    using reference = new Reference()
    for (const options of OPTIONS) {
      for (const size of [0, 1, 65537, 1e9, 2 ** 36, 2 ** 37]) {
        expect(await measure(size, options), `${size} ${options}`).toEqual(theirs(reference, options, '--size', `${size}`))
      }
    }
    for (const size of [2 ** 50 + 512, 2 ** 51]) expect(await measure(size, '')).toEqual(theirs(reference, '', '--size', `${size}`))
  })

  it('gives the same numbers for a source', { timeout: 60_000 }, async () => {
    using reference = new Reference()
    reference.create('s.qcow2', '20M', 'cluster_size=512')
    reference.io('s.qcow2', 'write 0 512', 'write 4k 512', 'write 65024 1024', 'write 200k 1k', 'write -z 210k 4k', 'write 1M 3M', 'write 20479k 1k')
    for (const options of OPTIONS) {
      const { bitmaps: _bitmaps, ...expected } = theirs(reference, options, '-f', 'qcow2', 's.qcow2')
      expect(await measure(20 << 20, options, extentsOf(reference, 's.qcow2')), options).toEqual(expected)
    }
  })

  it('gives the same size for bitmaps', async () => {
    using reference = new Reference()
    reference.create('s.qcow2', '100M')
    const bitmaps: { name: string; granularity: number }[] = []
    for (const [name, granularity] of [['b', 65536], ['a longer name', 512], ['third', 4096]] as const) {
      reference.img('bitmap', '--add', '-g', `${granularity}`, 's.qcow2', name)
      bitmaps.push({ name, granularity })
      for (const clusterSize of [512, 65536, 2097152]) {
        const { bitmaps: expected } = theirs(reference, `cluster_size=${clusterSize}`, '-f', 'qcow2', 's.qcow2')
        expect(measureBitmaps(bitmaps, 100 << 20, clusterSize), `${name} ${clusterSize}`).toBe(expected)
      }
    }
  })

  it('refuses in the words of the reference', async () => {
    using reference = new Reference()
    const cases = [
      'cluster_size=1000', 'compat=2', 'refcount_bits=3', 'refcount_bits=8,compat=0.10', 'extended_l2=on,cluster_size=8k',
      'cluster_size=1000,compat=2', 'compat=2,refcount_bits=3', 'cluster_size=512',
    ]
    for (const options of cases) {
      const size = 2 ** 38
      const message = messageOf(() => theirs(reference, options, '--size', `${size}`))
      await expect(measure(size, options), options).rejects.toThrow(message)
    }
  })
})

describe('measure', () => {
  it('is the length of an image that is created', async () => {
    for (const options of ['cluster_size=64k', 'cluster_size=4k,refcount_bits=64', 'extended_l2=on']) {
      const file = await createInMemory({ ...optionsOf(options), size: 30 << 20, preallocation: 'metadata' })
      expect((await measure(30 << 20, options)).fullyAllocated, options).toBe(file.size())
    }
  })
})

function theirs(reference: Reference, options: string, ...source: string[]): Measurement {
  const args = options === '' ? [] : ['-o', options]
  const { required, 'fully-allocated': fullyAllocated, bitmaps } = JSON.parse(reference.img('measure', '--output=json', '-O', 'qcow2', ...args, ...source))
  return { required, fullyAllocated, ...(bitmaps === undefined ? {} : { bitmaps }) }
}

function messageOf(run: () => void): string {
  try {
    run()
  } catch (error) {
    return (error as { cause: { stderr: string } }).cause.stderr.trim().replace(/^qemu-img: /, '')
  }
  throw new Error('the reference accepts it')
}
