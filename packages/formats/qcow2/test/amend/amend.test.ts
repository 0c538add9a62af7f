import { afterAll, describe, it } from 'vitest'
import { Random } from '../harness/random.ts'
import { haveReference, Reference } from '../harness/reference.ts'
import { StartingImages, type Starting } from './reference-amend.ts'

const DATA = ['write -P 1 0 100k', 'write -z 32k 64k', 'write -P 2 600k 12345', 'write -z -u 700k 64k', 'write -z 512k 64k']
const SNAPSHOTS = ['write -P 1 0 300k', 'write -z 64k 64k', '!one', 'write -z 128k 64k', 'write -P 3 200k 70k', 'write -z 640k 64k', '!two', 'write -z 0 64k', 'write -P 4 900k 20k', 'write -z 640k 64k']

const STARTING: Readonly<Record<string, Starting>> = {
  'version 3': { options: 'cluster_size=4k', before: DATA },
  'version 2': { options: 'compat=0.10,cluster_size=8k', before: DATA },
  'large clusters, lazy refcounts': { options: 'lazy_refcounts=on', before: DATA },
  'a backing file': { options: 'cluster_size=16k', before: DATA, backing: true },
  'a backing file, version 2': { options: 'cluster_size=4k,compat=0.10', before: DATA, backing: true },
  'snapshots, small clusters, wide refcounts': { options: 'cluster_size=1k,refcount_bits=32', before: SNAPSHOTS },
  'snapshots, narrow refcounts': { options: 'cluster_size=4k,refcount_bits=2', before: SNAPSHOTS },
  'snapshots, version 2': { options: 'compat=0.10,cluster_size=4k', before: SNAPSHOTS },
  'snapshots, a backing file': { options: 'cluster_size=8k', before: SNAPSHOTS, backing: true },
  'extended L2': { options: 'extended_l2=on,cluster_size=16k', before: DATA },
  'compressed': { options: 'cluster_size=4k', before: [...DATA, 'write -c -P 7 400k 4k', 'write -c -P 8 404k 4k'] },
  'zstd': { options: 'compression_type=zstd,cluster_size=4k', before: DATA },
  'zstd, compressed': { options: 'compression_type=zstd,cluster_size=4k', before: ['write -c -P 7 400k 4k'] },
  'an external data file': { options: 'cluster_size=4k', before: DATA, dataFile: true },
  'a raw external data file': { options: 'cluster_size=4k,data_file_raw=on', before: DATA, dataFile: true },
  'an empty disk': { options: 'cluster_size=4k', size: '0' },
  'refcounts of 1 bit': { options: 'refcount_bits=1,cluster_size=512', before: DATA },
}

const SINGLE = ['compat=0.10', 'compat=1.1', 'lazy_refcounts=on', 'lazy_refcounts=off', 'refcount_bits=1', 'refcount_bits=8', 'refcount_bits=64', 'size=2M', 'size=512k', 'data_file_raw=off']

describe.runIf(haveReference)('amend does what the reference does', { timeout: 30_000 }, () => {
  const tools = new Reference()
  afterAll(() => tools[Symbol.dispose]())
  const images = new StartingImages(tools)

  for (const [what, starting] of Object.entries(STARTING)) {
    it(`with one option: ${what}`, async () => {
      for (const option of SINGLE) await images.expectSame(starting, option)
    })
  }

  const pairs = (some: readonly string[]): string[] =>
    some.flatMap((first, i) => some.slice(i + 1).filter((second) => second.split('=')[0] !== first.split('=')[0]).map((second) => `${first},${second}`))
  const PAIRED = ['compat=0.10', 'compat=1.1', 'lazy_refcounts=on', 'lazy_refcounts=off', 'refcount_bits=8', 'refcount_bits=16', 'refcount_bits=64', 'size=1536k', 'data_file_raw=off', 'data_file_raw=on', 'refcount_bits=3', 'backing_fmt=raw']
  for (const what of ['version 2', 'snapshots, a backing file']) {
    it(`with every pair of options: ${what}`, async () => {
      for (const options of pairs(PAIRED)) await images.expectSame(STARTING[what]!, options)
    })
  }

  it('to every width of refcounts from every other', async () => {
    const widths = [1, 2, 4, 8, 16, 32, 64]
    const random = new Random(5)
    for (const bits of widths) {
      const starting: Starting = { options: `cluster_size=1k,refcount_bits=${bits}`, before: ['write -P 1 0 1M', 'discard 300k 200k', ...(bits > 1 ? ['!one', 'write -P 2 100k 50k'] : [])] }
      for (const to of widths) if (random.chance(0.5)) await images.expectSame(starting, `refcount_bits=${to}`)
    }
  })

  it('with all at once', async () => {
    await images.expectSame(STARTING['snapshots, narrow refcounts']!, 'compat=1.1,lazy_refcounts=on,refcount_bits=4,size=3M')
    await images.expectSame(STARTING['version 2']!, 'compat=1.1,lazy_refcounts=on,refcount_bits=1,size=300k')
    await images.expectSame(STARTING['snapshots, small clusters, wide refcounts']!, 'compat=0.10,refcount_bits=16,size=1M,lazy_refcounts=off')
    await images.expectSame(STARTING['large clusters, lazy refcounts']!, 'compat=v2')
  })

  it.each([
    'compat=2', 'compat=', 'refcount_bits=3', 'refcount_bits=0', 'refcount_bits=128', 'data_file=x', 'data_file_raw=on', 'backing_file=x', 'backing_fmt=raw', 'backing_file=', 'size=100',
    'encrypt.new-secret=x', 'encrypt.state=active', 'compat=2,encrypt.state=x', 'refcount_bits=3,data_file=x', 'refcount_bits=3,compat=2', 'data_file=x,data_file_raw=on',
    'refcount_bits=3,lazy_refcounts=on,compat=v2', 'refcount_bits=8,lazy_refcounts=on,compat=v2', 'lazy_refcounts=on,compat=v2,backing_file=x', 'size=100,backing_fmt=x', 'size=8000T', 'size=8000T,compat=v3',
  ])('refuses %s', async (options) => {
    await images.expectSame({ options: 'cluster_size=4k' }, options)
  })

  it('accepts the backing file that the image has', async () => {
    const starting: Starting = { options: 'cluster_size=4k', backing: true }
    for (const options of ['backing_file=base.raw', 'backing_file=base.raw,backing_fmt=raw', 'backing_fmt=raw', 'backing_file=base.raw,backing_fmt=raw,size=2M']) await images.expectSame(starting, options)
  })

  it('refuses a version 2 image with snapshots another size', async () => {
    for (const options of ['size=2M', 'size=1M', 'size=2M,compat=v3', 'size=2M,compat=v2']) await images.expectSame(STARTING['snapshots, version 2']!, options)
  })

  it('keeps a snapshot of another size in version 3', async () => {
    const starting: Starting = { options: 'cluster_size=4k', before: ['write -P 1 0 100k', '!one'], size: '1M' }
    await images.expectSame(starting, 'size=2M')
    await images.expectSame(starting, 'size=1M,compat=v2')
    await images.expectSame(starting, 'size=512k')
  })
})
