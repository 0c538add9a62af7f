import { isBlockError, type Instance } from '@blockloom/block-driver'
import { afterAll, describe, expect, it } from 'vitest'
import { decodeHeaderArea } from '../../src/on-disk/header-area.ts'
import { createInMemory } from '../harness/create.ts'
import { MemoryChild } from '../harness/memory-child.ts'
import { openQcow2, readAll } from '../harness/open.ts'
import { Random } from '../harness/random.ts'
import { haveReference, Reference } from '../harness/reference.ts'
import { applyToModel, perform, pickOperations } from '../harness/workload.ts'
import { contentDiffers } from './power-loss.ts'
import { amend, info } from './reference-amend.ts'

const SIZE = 512 * 1024

describe.runIf(haveReference)('amending', { timeout: 30_000 }, () => {
  const tools = new Reference()
  afterAll(() => tools[Symbol.dispose]())

  it('gives the snapshots of an old version 2 image what version 3 asks for', async () => {
    tools.create('old.qcow2', String(SIZE), 'compat=0.10,cluster_size=4k')
    tools.io('old.qcow2', 'write -P 1 0 100k')
    tools.img('snapshot', '-c', 'one', 'old.qcow2')
    tools.io('old.qcow2', 'write -P 2 50k 100k')
    const file = tools.load('old.qcow2')
    // As programs wrote them before there was extra data: 40 bytes, then ID and name.
    const { snapshotTableOffset } = decodeHeaderArea(file.content).header
    const entry = file.content.subarray(snapshotTableOffset, snapshotTableOffset + 80)
    const extra = new DataView(entry.buffer, entry.byteOffset).getUint32(36)
    entry.copyWithin(40, 40 + extra)
    new DataView(entry.buffer, entry.byteOffset).setUint32(36, 0)
    const image = await openQcow2({ file })
    expect(image.snapshots!.list()[0]).not.toHaveProperty('diskSize')
    const one = await readAll(await image.snapshots!.openReadOnly('one'))
    await amend(image, 'compat=1.1')
    expect(image.snapshots!.list()[0]).toMatchObject({ name: 'one', diskSize: SIZE })
    await image.close()
    tools.save('old.qcow2', file)
    tools.check('old.qcow2')
    expect(Buffer.compare(tools.raw('old.qcow2', '-l', 'one'), one)).toBe(0)
  })

  it('uses one image in every shape, one after the other', async () => {
    const random = new Random(11)
    tools.create('shapes.qcow2', String(SIZE), 'cluster_size=512')
    const file = tools.load('shapes.qcow2')
    const image = await openQcow2({ file, options: { 'l2-cache-size': 8192, 'refcount-cache-size': 4096 } })
    const model = new Uint8Array(SIZE)
    const shapes = ['compat=0.10,refcount_bits=16', 'compat=1.1,refcount_bits=64', 'refcount_bits=1', 'compat=0.10,refcount_bits=16', 'compat=1.1,lazy_refcounts=on', 'refcount_bits=32', 'refcount_bits=8,lazy_refcounts=off']
    for (const [round, shape] of [...shapes, ...shapes].entries()) {
      const limits = { zero: 512, discard: 512, cluster: 512, compress: false, discards: true }
      for (let i = 0; i < 4; i++) {
        const operations = pickOperations(random, SIZE, limits, 20, round * 100 + i)
        await Promise.all(operations.map((operation) => perform(image, operation)))
        for (const operation of operations) applyToModel(model, operation)
      }
      // A full disk, so that the refcount table has several clusters.
      if (round === 3) {
        const all = new Uint8Array(SIZE).map((_, i) => i % 251)
        await image.writer!.write(0, all, 0)
        model.set(all)
      }
      await amend(image, shape)
      expect(await contentDiffers(image, model), shape).toBeNull()
      const { corruptions, leaks } = await image.check!.check({ fix: 'none' })
      expect({ corruptions, leaks }, shape).toEqual({ corruptions: 0, leaks: 0 })
      await image.writer!.flush('stable')
      tools.save('shapes.qcow2', file)
      tools.check('shapes.qcow2')
    }
    await image.close()
    tools.save('shapes.qcow2', file)
    expect(Buffer.compare(tools.raw('shapes.qcow2'), model)).toBe(0)
  })

  it('lets requests wait, and they find the image as it is then', async () => {
    tools.create('busy.qcow2', String(SIZE), 'cluster_size=4k')
    tools.io('busy.qcow2', 'write -P 1 0 200k', 'write -z 40k 40k')
    const file = tools.load('busy.qcow2')
    const image = await openQcow2({ file })
    const model = await readAll(image)
    const random = new Random(2)
    file.before = async () => {
      for (let turns = random.below(4); turns > 0; turns--) await Promise.resolve()
    }
    const limits = { zero: 4096, discard: 4096, cluster: 4096, compress: false, discards: true }
    for (const shape of ['refcount_bits=32,lazy_refcounts=on', 'compat=0.10,refcount_bits=16', 'compat=1.1,refcount_bits=2']) {
      const operations = pickOperations(random, SIZE, limits, 60, 1)
      const half = Math.floor(operations.length / 2)
      const first = operations.slice(0, half).map((operation) => perform(image, operation))
      const amended = amend(image, shape)
      await Promise.all([...first, amended, ...operations.slice(half).map((operation) => perform(image, operation))])
      for (const operation of operations) applyToModel(model, operation)
      expect(await contentDiffers(image, model)).toBeNull()
    }
    await image.close()
    tools.save('busy.qcow2', file)
    tools.check('busy.qcow2')
    expect(Buffer.compare(tools.raw('busy.qcow2'), model)).toBe(0)
  })

  it('reads one table after the other of a disk of zeroes', async () => {
    tools.create('zeroes.qcow2', '64M', 'cluster_size=1k')
    tools.io('zeroes.qcow2', 'write -z 0 64M', 'write -P 1 30M 1M')
    const file = tools.load('zeroes.qcow2')
    const image = await openQcow2({ file })
    let [reading, most] = [0, 0]
    const read = file.read.bind(file)
    file.read = async (offset, into) => {
      most = Math.max(most, (reading += into.length))
      await read(offset, into)
      reading -= into.length
    }
    await amend(image, 'compat=0.10')
    expect(most).toBeLessThanOrEqual(64 * 1024)
    await image.close()
    tools.save('zeroes.qcow2', file)
    tools.check('zeroes.qcow2')
    const extents = JSON.parse(tools.img('map', '--output=json', 'zeroes.qcow2')) as { length: number; data: boolean }[]
    expect(extents.reduce((sum, { length, data }) => sum + (data ? length : 0), 0)).toBe(1 << 20)
  })

  it('adds a key slot, writes zeroes that decrypt to zeroes over a backing file, and both keys open it', async () => {
    const base = new Uint8Array(SIZE).fill(0xbb)
    tools.save('base.raw', new MemoryChild({ content: base }))
    const secret = (id: string, data: string): string[] => ['--object', `secret,id=${id},data=${data}`]
    const file = await createInMemory(
      { size: SIZE, cluster_size: 4096, backing_file: 'base.raw', backing_fmt: 'raw', 'encrypt.format': 'luks', 'encrypt.key-secret': 'a', 'encrypt.iter-time': 0 },
      undefined,
      { a: 'first' },
    )
    const image = await openQcow2({ file, backing: new MemoryChild({ content: base }), options: { 'encrypt.key-secret': 'a' }, secrets: { a: 'first', b: 'second' } })
    const content = await hideSome(image)
    await expect(amend(image, 'encrypt.state=bogus')).rejects.toThrow("Parameter 'state' does not accept value 'bogus'")
    await amend(image, 'encrypt.state=active,encrypt.new-secret=b,encrypt.iter-time=0,compat=0.10')
    expect(await contentDiffers(image, content)).toBeNull()
    await image.close()
    tools.save('luks.qcow2', file)
    for (const password of ['first', 'second']) {
      tools.img('convert', ...secret('k', password), '--image-opts', 'driver=qcow2,file.filename=luks.qcow2,encrypt.key-secret=k', '-O', 'raw', 'luks.raw')
      expect(Buffer.compare(tools.load('luks.raw').content, content)).toBe(0)
    }
    expect(info(tools, 'luks.qcow2')).toMatchObject({ 'format-specific': { data: { compat: '0.10' } } })
  })

  it('writes zeroes that decrypt to zeroes with the old encryption too', async () => {
    const base = new Uint8Array(SIZE).fill(0xbb)
    tools.img('create', '-q', '-u', '--object', 'secret,id=a,data=first', '-f', 'qcow2', '-b', 'base', '-F', 'raw', '-o', 'encrypt.format=aes,encrypt.key-secret=a,cluster_size=4k', 'aes.qcow2', String(SIZE))
    const file = tools.load('aes.qcow2')
    const open = (): Promise<Instance> => openQcow2({ file, backing: new MemoryChild({ content: base }), options: { 'encrypt.key-secret': 'a' }, secrets: { a: 'first' } })
    const image = await open()
    const content = await hideSome(image)
    await expect(amend(image, 'encrypt.state=active')).rejects.toThrow('Only LUKS encryption options can be amended')
    await amend(image, 'compat=0.10')
    expect(await contentDiffers(image, content)).toBeNull()
    await image.close()
    const again = await open()
    expect(await contentDiffers(again, content)).toBeNull()
    expect(await again.check!.check({ fix: 'none' })).toMatchObject({ corruptions: 0, leaks: 0 })
    await again.close()
  })

  /** Data, and zeroes with and without a place of their own. */
  async function hideSome(image: Instance): Promise<Uint8Array> {
    await image.writer!.write(0, new Uint8Array(40_960).fill(7), 0)
    await image.zero!(4096, 8192, 0)
    await image.zero!(102_400, 40_960, 0)
    const content = await readAll(image)
    expect(content.subarray(102_400, 143_360).every((byte) => byte === 0)).toBe(true)
    return content
  }

  it('drops bitmaps, which version 2 does not have, with their clusters', async () => {
    tools.create('bitmaps.qcow2', String(SIZE), 'cluster_size=4k')
    tools.img('bitmap', '--add', 'bitmaps.qcow2', 'one')
    tools.img('bitmap', '--add', '-g', '512', 'bitmaps.qcow2', 'two')
    tools.io('bitmaps.qcow2', 'write -P 1 0 200k')
    const file = tools.load('bitmaps.qcow2')
    const image = await openQcow2({ file })
    await amend(image, 'refcount_bits=32')
    expect(image.bitmaps!.list()).toHaveLength(2)
    await amend(image, 'refcount_bits=16,compat=0.10')
    expect(image.bitmaps!.list()).toHaveLength(0)
    await amend(image, 'compat=1.1')
    await image.close()
    tools.save('bitmaps.qcow2', file)
    tools.check('bitmaps.qcow2')
    expect(info(tools, 'bitmaps.qcow2')['format-specific']).not.toHaveProperty('data.bitmaps')
  })

  it('keeps what it does not know, as far as the version has a place for it', async () => {
    tools.create('kept.qcow2', String(SIZE), 'cluster_size=4k,backing_file=base,backing_fmt=raw', ['-u'])
    const file = tools.load('kept.qcow2')
    const image = await openQcow2({ file, mode: { noBacking: true } })
    await image.backing!.change!({ filename: 'x'.repeat(1000), format: 'raw' })
    await amend(image, 'compat=0.10')
    await amend(image, 'compat=1.1,lazy_refcounts=on')
    expect(image.backing!.named).toEqual({ filename: 'x'.repeat(1000), format: 'raw' })
    await image.close()
    const { extensions, header } = decodeHeaderArea(file.content)
    expect(extensions.backingFormat).toBe('raw')
    expect(header).toMatchObject({ version: 3, headerLength: 112, features: { lazyRefcounts: true } })
  })

  it('goes up without feature names where they have no room', async () => {
    tools.create('tight.qcow2', String(SIZE), 'compat=0.10,cluster_size=512')
    const file = tools.load('tight.qcow2')
    const image = await openQcow2({ file, mode: { noBacking: true } })
    await image.backing!.change!({ filename: 'x'.repeat(400) })
    const error: unknown = await amend(image, 'compat=1.1').catch((reason: unknown) => reason)
    // 112 bytes of header, 8 of an end marker.
    expect(isBlockError(error, 'no-space')).toBe(true)
    await image.backing!.change!({ filename: 'x'.repeat(392) })
    await amend(image, 'compat=1.1')
    await image.close()
    expect(decodeHeaderArea(file.content)).toMatchObject({ backingFile: 'x'.repeat(392), header: { version: 3 } })
  })

  it('is there only where the image can be written', async () => {
    tools.create('ro.qcow2', String(SIZE))
    expect(await openQcow2({ file: tools.load('ro.qcow2'), mode: { readOnly: true } })).not.toHaveProperty('amend')
  })
})
