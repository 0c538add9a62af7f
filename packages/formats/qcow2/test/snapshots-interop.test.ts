import { isBlockError, type Instance } from '@blockloom/block-driver'
import { afterAll, describe, expect, it } from 'vitest'
import { encodeSnapshotTable } from '../src/on-disk/snapshot-table.ts'
import { MemoryChild } from './harness/memory-child.ts'
import { openQcow2, readAll } from './harness/open.ts'
import { haveReference, Reference } from './harness/reference.ts'

const SIZE = 1024 * 1024

describe.runIf(haveReference)('internal snapshots and the reference', () => {
  const tools = new Reference()
  afterAll(() => tools[Symbol.dispose]())

  async function change(name: string, work: (image: Instance) => Promise<unknown>): Promise<void> {
    const file = tools.load(name)
    const image = await openQcow2({ file })
    await work(image)
    await image.close()
    tools.save(name, file)
    tools.check(name)
  }

  const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

  it('its snapshots are reverted to and removed', async () => {
    tools.create('theirs.qcow2', String(SIZE), 'cluster_size=4k')
    tools.io('theirs.qcow2', 'write -P 1 0 300k', 'write -z 40k 16k', 'write -c -P 3 512k 4k')
    tools.img('snapshot', '-c', 'first', 'theirs.qcow2')
    const first = tools.raw('theirs.qcow2')
    tools.io('theirs.qcow2', 'write -P 4 100k 300k')
    tools.img('snapshot', '-c', 'second', 'theirs.qcow2')
    tools.io('theirs.qcow2', 'discard 0 200k')
    await change('theirs.qcow2', (image) => image.snapshots!.revert!('first'))
    expect(same(tools.raw('theirs.qcow2'), first)).toBe(true)
    await change('theirs.qcow2', (image) => image.snapshots!.remove!('2'))
    await change('theirs.qcow2', (image) => image.snapshots!.remove!('first'))
    expect(same(tools.raw('theirs.qcow2'), first)).toBe(true)
    expect(tools.img('snapshot', '-l', 'theirs.qcow2')).toBe('')
    // Everything is the disk's own again.
    await change('theirs.qcow2', async (image) => {
      const size = (await image.info!())['cluster-size']
      expect(size).toBe(4096)
      await image.writer!.write(0, new Uint8Array(SIZE).fill(6), 0)
    })
  })

  it('is able to list, read, revert to and delete ours', async () => {
    tools.create('ours.qcow2', String(SIZE), 'extended_l2=on,cluster_size=16k')
    tools.io('ours.qcow2', 'write -P 1 3k 300k')
    const first = tools.raw('ours.qcow2')
    await change('ours.qcow2', async (image) => {
      expect(await image.snapshots!.create!({ name: 'first', dateSec: 86400 * 365, vmClockNsec: 3_723_004_000_000, icount: 17, vmState: new Uint8Array(100_000).fill(8) })).toEqual({
        id: '1',
        name: 'first',
        vmStateSize: 100_000,
        dateSec: 86400 * 365,
        dateNsec: 0,
        vmClockNsec: 3_723_004_000_000,
        diskSize: SIZE,
        icount: 17,
      })
      await image.writer!.write(50_000, new Uint8Array(90_000).fill(2), 0)
      await image.snapshots!.create!({ name: 'first' })
    })
    const second = tools.raw('ours.qcow2')
    const list = tools.img('snapshot', '-l', 'ours.qcow2').split('\n')
    expect(list[2]).toMatch(/^1 +first +97\.7 KiB 1971-01-01 .* 01:02:03\.004 +17$/)
    expect(list[3]).toMatch(/^2 +first +0 B 1970-01-01 /)
    expect(same(tools.raw('ours.qcow2', '-l', '1'), first)).toBe(true)
    tools.img('snapshot', '-a', '1', 'ours.qcow2')
    tools.check('ours.qcow2')
    expect(same(tools.raw('ours.qcow2'), first)).toBe(true)
    tools.img('snapshot', '-a', '2', 'ours.qcow2')
    tools.img('snapshot', '-d', 'first', 'ours.qcow2')
    tools.check('ours.qcow2')
    expect(same(tools.raw('ours.qcow2', '-l', '2'), second)).toBe(true)
  })

  it('VM state is in the snapshot alone, and comes back with it', async () => {
    tools.create('state.qcow2', String(SIZE), 'cluster_size=4k')
    const state = Uint8Array.from({ length: 70_001 }, (_, i) => i % 251)
    await change('state.qcow2', async (image) => {
      const before = Number((await image.extents!(0, SIZE)).bytes)
      await image.snapshots!.create!({ name: 'running', vmState: state })
      expect((await image.extents!(0, SIZE)).bytes).toBe(before)
      await image.snapshots!.revert!('running')
      // A larger disk does not show it.
      await image.resize!.resize(4 * SIZE, { preallocation: 'off', zeroFill: false })
      expect(same(await readAll(image), new Uint8Array(4 * SIZE))).toBe(true)
    })
    await change('state.qcow2', async (image) => {
      const into = new Uint8Array(state.length - 5)
      await image.snapshots!.readVmState!('running', 5, into)
      expect(same(into, state.subarray(5))).toBe(true)
      await expect(image.snapshots!.readVmState!('running', 6, into)).rejects.toSatisfy((error) => isBlockError(error, 'invalid'))
    })
    await change('state.qcow2', (image) => image.snapshots!.remove!('running'))
  })

  it('the size of the disk is part of a snapshot', async () => {
    tools.create('size.qcow2', String(SIZE), 'cluster_size=512')
    tools.io('size.qcow2', `write -P 1 0 ${SIZE}`)
    await change('size.qcow2', async (image) => {
      await image.snapshots!.create!({ name: 'small' })
      await image.resize!.resize(3 * SIZE, { preallocation: 'off', zeroFill: false })
      await image.writer!.write(2 * SIZE, new Uint8Array(SIZE).fill(2), 0)
      await image.snapshots!.create!({ name: 'large' })
      await image.snapshots!.revert!('small')
      expect(await image.size()).toBe(SIZE)
    })
    expect(tools.raw('size.qcow2').length).toBe(SIZE)
    await change('size.qcow2', async (image) => {
      expect(await (await image.snapshots!.openReadOnly('large')).size()).toBe(3 * SIZE)
      await image.snapshots!.revert!('large')
    })
    expect(tools.raw('size.qcow2').subarray(2 * SIZE).every((byte) => byte === 2)).toBe(true)
  })

  it('tables may be longer than what one refcount block counts', async () => {
    tools.create('long.qcow2', '1M', 'cluster_size=512,refcount_bits=64')
    tools.io('long.qcow2', 'write -P 1 0 100k')
    await change('long.qcow2', async (image) => {
      await image.resize!.resize(300 * SIZE, { preallocation: 'off', zeroFill: false })
      await Promise.all([image.snapshots!.create!({ name: 'one' }), image.writer!.write(200 * SIZE, new Uint8Array(50_000).fill(2), 0)])
      await image.snapshots!.create!({ name: 'two' })
      await image.snapshots!.revert!('one')
      await image.snapshots!.remove!('one')
    })
    tools.img('snapshot', '-a', 'two', 'long.qcow2')
    expect(tools.io('long.qcow2', `read -P 2 ${200 * SIZE} 50000`, 'read -P 1 0 100k')).not.toContain('failed')
  })

  it('an empty disk has snapshots too', async () => {
    for (const size of ['0', '512']) {
      tools.create('empty.qcow2', size)
      await change('empty.qcow2', async (image) => {
        await image.snapshots!.create!({ name: 'nothing' })
        await image.snapshots!.revert!('nothing')
      })
      tools.img('snapshot', '-a', 'nothing', 'empty.qcow2')
      await change('empty.qcow2', (image) => image.snapshots!.remove!('nothing'))
    }
  })

  it('a backing file shows through as it did', async () => {
    tools.create('base.qcow2', String(SIZE))
    tools.io('base.qcow2', `write -P 0x11 0 ${SIZE}`)
    tools.create('over.qcow2', String(SIZE), 'cluster_size=4k', ['-b', 'base.qcow2', '-F', 'qcow2'])
    const backing = new MemoryChild({ content: tools.raw('base.qcow2') })
    const file = tools.load('over.qcow2')
    const image = await openQcow2({ file, backing })
    await image.writer!.write(10_000, new Uint8Array(5000).fill(1), 0)
    const content = await readAll(image)
    await image.snapshots!.create!({ name: 'one', vmState: new Uint8Array(10).fill(9) })
    await image.writer!.write(12_000, new Uint8Array(50_000).fill(2), 0)
    await image.snapshots!.revert!('one')
    expect(same(await readAll(image), content)).toBe(true)
    const into = new Uint8Array(10)
    await image.snapshots!.readVmState!('one', 0, into)
    expect(into).toEqual(new Uint8Array(10).fill(9))
    await image.close()
    tools.save('over.qcow2', file)
    tools.check('over.qcow2')
    expect(same(tools.raw('over.qcow2'), content)).toBe(true)
  })

  it('refuses what the reference refuses', async () => {
    tools.create('one-bit.qcow2', String(SIZE), 'refcount_bits=1')
    await change('one-bit.qcow2', (image) => image.snapshots!.create!({ name: 'of nothing' }))
    await change('one-bit.qcow2', async (image) => {
      await image.writer!.write(0, new Uint8Array(512).fill(1), 0)
      await expect(image.snapshots!.create!({ name: 'e' })).rejects.toMatchObject({ code: 'unsupported', errno: 'EINVAL' })
      await image.writer!.write(600, new Uint8Array(512).fill(1), 0)
      expect(image.snapshots!.list().length).toBe(1)
    })

    tools.create('bitmap.qcow2', String(SIZE))
    tools.img('snapshot', '-c', 's', 'bitmap.qcow2')
    tools.img('bitmap', '--add', 'bitmap.qcow2', 'b')
    await change('bitmap.qcow2', (image) => expect(image.snapshots!.revert!('s')).rejects.toMatchObject({ code: 'busy', message: 'Device has active dirty bitmaps' }))

    // The disk is still the same, and so are they.
    await change('bitmap.qcow2', (image) => image.snapshots!.create!({ name: 't', vmState: new Uint8Array(100) }))
    await change('bitmap.qcow2', (image) => image.snapshots!.remove!('s'))
    const { 'format-specific': facts } = JSON.parse(tools.img('info', '--output=json', 'bitmap.qcow2')) as { 'format-specific': { data: { bitmaps: unknown[] } } }
    expect(facts.data.bitmaps).toMatchObject([{ name: 'b', flags: ['auto'] }])

    tools.create('data.qcow2', String(SIZE), `data_file=${tools.path('data.raw')}`)
    const withData = await openQcow2({ file: tools.load('data.qcow2'), dataFile: new MemoryChild() })
    expect(withData.snapshots!.create).toBeUndefined()
    const readOnly = await openQcow2({ file: tools.load('bitmap.qcow2'), mode: { readOnly: true } })
    expect(readOnly.snapshots).not.toHaveProperty('create')

    await change('one-bit.qcow2', async (image) => {
      const { snapshots } = image
      for (const work of [snapshots!.revert!, snapshots!.remove!, snapshots!.openReadOnly]) {
        await expect(work('absent')).rejects.toMatchObject({ code: 'not-found', errno: 'ENOENT' })
      }
      await expect(snapshots!.create!({ name: 'x'.repeat(65536) })).rejects.toMatchObject({ errno: 'EFBIG' })
    })
  })

  it('there are at most 65536, which all can be used', async () => {
    tools.create('many.qcow2', '64k')
    await change('many.qcow2', (image) => image.snapshots!.create!({ name: 'first' }))
    const file = tools.load('many.qcow2')
    const bytes = new Uint8Array(file.content)
    const view = new DataView(bytes.buffer)
    const l1 = Number(view.getBigUint64(Number(view.getBigUint64(64))))
    // The same empty L1 table for all, which its refcount allows.
    const entry = { l1Offset: l1 as never, l1Entries: 0, name: 'x', dateSeconds: 0, dateNanoseconds: 0, vmClock: 0n, vmStateSize: 0, diskSize: 65536, instructionCount: null, unknownExtraData: new Uint8Array([1, 2, 3]), extraDataSize: 27 }
    const table = encodeSnapshotTable(Array.from({ length: 65535 }, (_, i) => ({ ...entry, id: String(i + 1) })), 65536)
    const place = Math.ceil(bytes.length / 65536) * 65536
    const block = Number(view.getBigUint64(Number(view.getBigUint64(48))))
    for (let i = 0; i < Math.ceil(table.length / 65536); i++) view.setUint16(block + (place / 65536 + i) * 2, 1)
    view.setUint32(60, 65535)
    view.setBigUint64(64, BigInt(place))
    await file.write(0, bytes)
    await file.write(place, table)
    const image = await openQcow2({ file })
    expect((await image.snapshots!.create!({ name: 'last' })).id).toBe('65536')
    await expect(image.snapshots!.create!({ name: 'one more' })).rejects.toMatchObject({ code: 'invalid', errno: 'EFBIG' })
    await image.snapshots!.revert!('65536')
    await image.close()
    // What we do not know in an entry is kept.
    const at = Number(new DataView(file.content.buffer).getBigUint64(64))
    expect([...file.content.subarray(at + 64, at + 67)]).toEqual([1, 2, 3])
  })
})

describe.runIf(haveReference)('snapshots of a disk in use', () => {
  const tools = new Reference()
  afterAll(() => tools[Symbol.dispose]())

  it('wait for requests that are under way, and later ones wait for them', async () => {
    tools.create('busy.qcow2', '4M', 'cluster_size=4k')
    const file = tools.load('busy.qcow2')
    file.before = async () => {
      for (let turns = Math.floor(file.reads % 4); turns > 0; turns--) await Promise.resolve()
    }
    const image = await openQcow2({ file, options: { 'l2-cache-size': 8192, 'refcount-cache-size': 8192, 'l2-cache-entry-size': 512 } })
    const write = (value: number) => Array.from({ length: 64 }, (_, i) => image.writer!.write(i * 65536 + 100, new Uint8Array(30_000).fill(value), 0))
    const content = async (disk: Instance): Promise<number[]> => {
      const values = new Set<number>()
      const into = new Uint8Array(1)
      for (let i = 0; i < 64; i++) {
        await disk.read(i * 65536 + 2000, into, 0)
        values.add(into[0]!)
      }
      return [...values]
    }
    const all: Promise<unknown>[] = []
    for (let round = 1; round <= 8; round++) {
      all.push(...write(round), image.snapshots!.create!({ name: `s${round}` }), image.writer!.flush('stable'), image.discard!(0, 4096), image.zero!(4096, 8192, 0))
    }
    all.push(...write(20), image.snapshots!.revert!('s3'), image.snapshots!.remove!('s2'), image.snapshots!.remove!('s5'))
    await Promise.all(all)
    expect(image.snapshots!.list().map(({ name }) => name).sort()).toEqual(['s1', 's3', 's4', 's6', 's7', 's8'])
    expect(await content(image)).toEqual(await content(await image.snapshots!.openReadOnly('s3')))
    const opened = await image.snapshots!.openReadOnly('s4')
    await image.snapshots!.remove!('s4')
    await expect(content(opened)).rejects.toMatchObject({ code: 'not-found' })
    await image.close()
    tools.save('busy.qcow2', file)
    tools.check('busy.qcow2')
  })
})
