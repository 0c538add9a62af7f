import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, describe, expect, it } from 'vitest'
import type { Instance } from '@blockloom/block-driver'
import { decodeHeaderArea } from '../../src/on-disk/header-area.ts'
import { openQcow2, readAll } from '../harness/open.ts'
import { Random } from '../harness/random.ts'
import { haveReference, Reference } from '../harness/reference.ts'
import { bitBytes, contentOf, dirtyRanges, loadBits, randomBits } from './bits.ts'

const MIB = 1024 * 1024
const SIZE = 3 * MIB + 512 * 7

interface Shown {
  readonly flags: readonly string[]
  readonly name: string
  readonly granularity: number
}

/** The server makes its socket before it listens. */
async function whenListening(socket: string, connect: () => string): Promise<string> {
  for (let tries = 0; ; tries++) {
    try {
      if (existsSync(socket)) return connect()
    } catch (error) {
      if (!String(error).includes('Connection refused')) throw error
    }
    if (tries > 500) throw new Error('nobody listens')
    await sleep(10)
  }
}

describe.runIf(haveReference)('stored bitmaps and the reference', () => {
  const tools = new Reference()
  afterAll(() => tools[Symbol.dispose]())
  let sockets = 0

  const shown = (name: string): readonly Shown[] => {
    const info = JSON.parse(tools.img('info', '--output=json', name)) as { 'format-specific': { data: { bitmaps?: readonly Shown[] } } }
    return info['format-specific'].data.bitmaps ?? []
  }
  const fails = (...args: string[]): string => spawnSync('qemu-img', args, { cwd: tools.folder, encoding: 'utf8' }).stderr.trim()

  /** The dirty ranges of a bitmap, as the reference shows them to a client. */
  async function dirtyInReference(name: string, bitmap: string): Promise<[number, number][]> {
    const socket = tools.path(`nbd-${sockets++}`)
    const server = spawn('qemu-nbd', ['-r', '-f', 'qcow2', '-B', bitmap, '-k', socket, tools.path(name)], { cwd: tools.folder, stdio: 'ignore' })
    const ended = new Promise((resolve) => server.once('exit', resolve))
    try {
      const map = await whenListening(socket, () =>
        tools.img('map', '--output=json', '--image-opts', `driver=nbd,server.type=unix,server.path=${socket},x-dirty-bitmap=qemu:dirty-bitmap:${bitmap}`),
      )
      const ranges = JSON.parse(map) as { readonly start: number; readonly length: number; readonly data: boolean }[]
      return ranges.filter(({ data }) => !data).map(({ start, length }) => [start, start + length])
    } finally {
      server.kill()
      await ended
    }
  }

  async function changing(name: string, change: (image: Instance) => Promise<unknown>): Promise<void> {
    const file = tools.load(name)
    const image = await openQcow2({ file })
    await change(image)
    await image.close()
    tools.save(name, file)
  }

  for (const options of ['cluster_size=512,refcount_bits=1', 'cluster_size=4k', 'cluster_size=64k', 'cluster_size=2M', 'extended_l2=on,cluster_size=16k', 'cluster_size=4k,data_file=bits.data']) {
    it(`ours have the right bits there (${options})`, async () => {
      const random = new Random(options.length)
      tools.create('ours', String(SIZE), options)
      tools.io('ours', 'write -P 1 0 300k')
      const file = tools.load('ours')
      const dataFile = options.includes('data_file') ? { dataFile: tools.load('bits.data') } : {}
      const clusterSize = decodeHeaderArea(file.content).geometry.clusterSize
      const expected = [512, 4096, 65536, MIB].map((granularity) => ({ name: `g${granularity}`, granularity, bits: randomBits(random, SIZE, granularity, Math.min(clusterSize, 300)) }))
      expected.push({ name: 'full', granularity: 512, bits: randomBits(random, SIZE, 512, 1).fill(0xff) })
      const image = await openQcow2({ file, ...dataFile })
      await image.bitmaps!.store!(expected.map(({ name, granularity, bits }, i) => contentOf(name, granularity, bits, i % 2 === 0)))
      await image.close()
      tools.save('ours', file)
      tools.check('ours')
      expect(shown('ours')).toEqual(expected.map(({ name, granularity }, i) => ({ flags: i % 2 === 0 ? ['auto'] : [], name, granularity })))
      for (const { name, granularity, bits } of expected) expect(await dirtyInReference('ours', name), `seed ${random.seed}, ${name}`).toEqual(dirtyRanges(bits, SIZE, granularity))
      if (options.includes('data_file')) return
      // Once more, through what the reference writes itself.
      tools.img('convert', '-O', 'qcow2', '--bitmaps', 'ours', 'theirs')
      const theirs = await openQcow2({ file: tools.load('theirs') })
      for (const { name, granularity, bits } of expected) expect(dirtyRanges(await loadBits(theirs, name), SIZE, granularity), name).toEqual(dirtyRanges(bits, SIZE, granularity))
      await theirs.close()
    })
  }

  it('theirs have the right bits here', async () => {
    for (const options of ['cluster_size=512', 'cluster_size=64k', 'cluster_size=4k,refcount_bits=64']) {
      tools.create('theirs', String(SIZE), options)
      for (const granularity of [512, 4096, 65536]) tools.img('bitmap', '--add', '-g', String(granularity), 'theirs', `g${granularity}`)
      tools.img('bitmap', '--add', '--disable', '-g', '65536', 'theirs', 'off')
      tools.io('theirs', 'write 0 700', 'write 100k 300k', 'write -z 2M 3000', `write ${SIZE - 512} 512`, 'discard 1M 64k')
      const image = await openQcow2({ file: tools.load('theirs'), mode: { readOnly: true } })
      expect(image.bitmaps!.list()).toEqual([
        ...[512, 4096, 65536].map((granularity) => ({ name: `g${granularity}`, granularity, auto: true, inconsistent: false })),
        { name: 'off', granularity: 65536, auto: false, inconsistent: false },
      ])
      for (const granularity of [512, 4096, 65536]) {
        expect(dirtyRanges(await loadBits(image, `g${granularity}`), SIZE, granularity), options).toEqual(await dirtyInReference('theirs', `g${granularity}`))
      }
      expect((await loadBits(image, 'off')).every((byte) => byte === 0)).toBe(true)
      await image.close()
    }
  })

  it('get no bits past the end when the reference grows the disk', async () => {
    for (const granularity of [512, 4096, 65536]) {
      const name = `grown-${granularity}`
      tools.create(name, String(SIZE), 'cluster_size=4k')
      await changing(name, async (image) => {
        await image.bitmaps!.store!([contentOf('all', granularity, new Uint8Array(bitBytes(SIZE, granularity)).fill(0xff))])
      })
      tools.img('resize', '-f', 'qcow2', name, String(SIZE + 4 * MIB))
      expect(await dirtyInReference(name, 'all')).toEqual([[0, Math.ceil(SIZE / granularity) * granularity]])
    }
  })

  it('both change the same ones in turn', async () => {
    tools.create('turns', String(SIZE), 'cluster_size=4k')
    tools.img('bitmap', '--add', '-g', '4k', 'turns', 'a')
    tools.io('turns', 'write 0 8k')
    await changing('turns', async (image) => {
      const bits = await loadBits(image, 'a')
      bits[10] = 0xff
      await image.bitmaps!.store!([contentOf('a', 4096, bits), contentOf('b', 4096, randomBits(new Random(1), SIZE, 4096, 4))])
    })
    tools.check('turns')
    tools.io('turns', 'write 1M 4k')
    tools.img('bitmap', '--add', '-g', '4k', '--merge', 'a', 'turns', 'c')
    tools.img('bitmap', '--remove', 'turns', 'b')
    tools.img('bitmap', '--disable', 'turns', 'c')
    await changing('turns', async (image) => {
      expect(image.bitmaps!.list().map(({ name, auto }) => [name, auto])).toEqual([['a', true], ['c', false]])
      expect(dirtyRanges(await loadBits(image, 'c'), SIZE, 4096)).toEqual([[0, 8192], [80 * 4096, 88 * 4096], [MIB, MIB + 4096]])
      await image.bitmaps!.remove!('a')
    })
    tools.check('turns')
    expect(shown('turns')).toEqual([{ flags: [], name: 'c', granularity: 4096 }])
    tools.img('bitmap', '--remove', 'turns', 'c')
    tools.check('turns')
    const { extensions } = decodeHeaderArea(tools.load('turns').content)
    expect(extensions.bitmaps).toBeNull()
  })

  it('those that nobody stored after a write can only be removed, there too', async () => {
    tools.create('lost', String(SIZE), 'cluster_size=4k')
    tools.img('bitmap', '--add', '-g', '4k', 'lost', 'a')
    tools.img('bitmap', '--add', '-g', '4k', '--disable', 'lost', 'b')
    await changing('lost', async (image) => {
      // Reading and flushing change nothing.
      await readAll(image)
      await image.writer!.flush('stable')
    })
    expect(shown('lost').map(({ flags }) => flags)).toEqual([['auto'], []])
    await changing('lost', (image) => image.writer!.write(0, new Uint8Array(512).fill(1), 0))
    tools.check('lost')
    expect(shown('lost').map(({ flags }) => flags)).toEqual([['in-use', 'auto'], ['in-use']])
    expect(fails('bitmap', '--clear', 'lost', 'a')).toContain("Bitmap 'a' is inconsistent and cannot be used")
    tools.img('bitmap', '--remove', 'lost', 'a')
    await changing('lost', async (image) => {
      expect(image.bitmaps!.list()).toEqual([{ name: 'b', granularity: 4096, auto: false, inconsistent: true }])
      await image.bitmaps!.store!([contentOf('b', 4096, randomBits(new Random(1), SIZE, 4096, 4), false)])
    })
    expect(shown('lost').map(({ flags }) => flags)).toEqual([[]])
    tools.check('lost')
  })

  it('of a program that knew no bitmaps are none, and that is told', async () => {
    for (const compat of ['1.1', '0.10'] as const) {
      tools.create('stale', String(MIB), 'cluster_size=4k')
      tools.img('bitmap', '--add', 'stale', 'a')
      const file = tools.load('stale')
      if (compat === '1.1') await file.write(95, Uint8Array.of(0))
      tools.save('stale', file)
      if (compat === '0.10') tools.img('amend', '-o', 'compat=0.10', 'stale')
      const told = spawnSync('qemu-img', ['info', 'stale'], { cwd: tools.folder, encoding: 'utf8' }).stderr
      const warnings: string[] = []
      const image = await openQcow2({ file: tools.load('stale'), mode: { readOnly: true }, warnings })
      expect(warnings.map((warning) => `qemu-img: warning: ${warning}`).join()).toBe(told)
      if (compat === '1.1') expect(warnings.length).toBe(1)
      expect(image.bitmaps!.list()).toEqual([])
      await image.close()
    }
    tools.create('stale', String(MIB), 'cluster_size=4k')
    tools.img('bitmap', '--add', 'stale', 'a')
    const file = tools.load('stale')
    await file.write(95, Uint8Array.of(0))
    tools.save('stale', file)
    await changing('stale', (image) => image.bitmaps!.store!([contentOf('a', 65536, Uint8Array.of(1, 1))]))
    expect(shown('stale').map(({ name }) => name)).toEqual(['a'])
    expect(await dirtyInReference('stale', 'a')).toEqual([[0, 65536], [8 * 65536, 9 * 65536]])
    // What the old ones took is lost until it is repaired.
    tools.img('check', '-q', '-r', 'leaks', 'stale')
    tools.check('stale')
    expect(await dirtyInReference('stale', 'a')).toEqual([[0, 65536], [8 * 65536, 9 * 65536]])
  })

  it('they do not keep a snapshot from being taken and removed, but from being reverted to', async () => {
    tools.create('snapshots', String(SIZE), 'cluster_size=4k')
    tools.io('snapshots', 'write -P 1 0 100k')
    const bits = randomBits(new Random(1), SIZE, 4096, 4)
    await changing('snapshots', async (image) => {
      await image.bitmaps!.store!([contentOf('a', 4096, bits)])
      await image.snapshots!.create!({ name: 'first' })
      await image.snapshots!.create!({ name: 'second' })
      await image.snapshots!.remove!('first')
      await expect(image.snapshots!.revert!('second')).rejects.toThrow('Device has active dirty bitmaps')
    })
    tools.check('snapshots')
    expect(fails('snapshot', '-a', 'second', 'snapshots')).toContain('Device has active dirty bitmaps')
    expect(await dirtyInReference('snapshots', 'a')).toEqual(dirtyRanges(bits, SIZE, 4096))
    await changing('snapshots', async (image) => {
      await image.bitmaps!.remove!('a')
      await image.snapshots!.revert!('second')
    })
    tools.check('snapshots')
  })

  it('the disk gets another size, and they with it', async () => {
    tools.create('size', String(SIZE), 'cluster_size=512')
    for (const size of [2 * SIZE, 300 * 1024, SIZE]) {
      const bits = randomBits(new Random(size), size, 512, 64)
      await changing('size', async (image) => {
        await image.bitmaps!.store!([contentOf('a', 512, new Uint8Array(bitBytes(await image.size(), 512)).fill(1))])
        await image.resize!.resize(size, { preallocation: 'off', zeroFill: true })
        await image.bitmaps!.store!([contentOf('a', 512, bits)])
      })
      tools.check('size')
      expect(await dirtyInReference('size', 'a')).toEqual(dirtyRanges(bits, size, 512))
    }
    tools.img('resize', '-q', 'size', String(2 * SIZE))
    const image = await openQcow2({ file: tools.load('size') })
    expect(dirtyRanges(await loadBits(image, 'a'), 2 * SIZE, 512).at(-1)![1]).toBeLessThanOrEqual(SIZE)
    await image.close()
    await changing('size', (opened) => opened.writer!.write(0, new Uint8Array(1), 0))
    expect(fails('resize', 'size', String(3 * SIZE))).toContain("Bitmap 'a' is inconsistent and cannot be used")
  })

  it('they are refused for the same reasons, in the same words', async () => {
    const cases: readonly [options: string, size: string, name: string, granularity: number][] = [
      ['compat=0.10', '1M', 'b', 65536],
      ['cluster_size=4k', '1M', 'x'.repeat(1024), 65536],
      ['cluster_size=4k', '8T', 'b', 512],
      ['cluster_size=64k', '1M', '', 65536],
      ['cluster_size=64k', '1M', 'b', 3000],
      ['cluster_size=64k', '1M', 'b', 256],
      ['cluster_size=64k', '1M', 'b', 2 ** 32],
    ]
    for (const [options, size, name, granularity] of cases) {
      tools.create('refused', size, options)
      const theirs = fails('bitmap', '--add', '-g', String(granularity), 'refused', name)
      const image = await openQcow2({ file: tools.load('refused') })
      let ours = ''
      try {
        image.bitmaps!.assertStorable!({ name, granularity })
      } catch (error) {
        ours = (error as Error).message
      }
      await image.close()
      // Their core finds some of it before the format does.
      const before = /Bitmap name cannot be empty|Granularity must be power of 2/.exec(theirs)
      if (before === null) expect(ours.replace("in 'test'", "in '#block'")).toBe(theirs.replace(/^.* failed: /, '').replace(/#block\d+/, '#block'))
      else expect(ours).not.toBe('')
    }
  })
})
