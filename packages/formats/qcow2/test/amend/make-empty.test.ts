import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { afterAll, describe, expect, it } from 'vitest'
import { MemoryChild } from '../harness/memory-child.ts'
import { openQcow2, readAll } from '../harness/open.ts'
import { Random } from '../harness/random.ts'
import { haveReference, Reference } from '../harness/reference.ts'
import { applyToModel, fill, perform, pickOperations } from '../harness/workload.ts'
import { childrenOf, contentDiffers, crashEverywhere, failEverywhere, type Files } from './power-loss.ts'

const SIZE = 512 * 1024

describe.runIf(haveReference)('making an image empty', () => {
  const tools = new Reference()
  afterAll(() => tools[Symbol.dispose]())
  const bytesOf = (name: string): Uint8Array => new Uint8Array(readFileSync(tools.path(name)))
  // Shorter than the disk.
  const base = fill(new Uint8Array(SIZE - 70_000), 0, 5)
  const below = new Uint8Array(SIZE)
  below.set(base)

  /** An overlay over `base` with data, compressed data and zeroes. */
  function make(name: string, options: string, ...more: string[]): void {
    writeFileSync(tools.path('base.raw'), base)
    tools.create(name, String(SIZE), options, ['-b', 'base.raw', '-F', 'raw'])
    tools.io(name, 'write -P 1 0 100k', 'write -P 2 300k 12345', 'write -z 64k 32k', ...(/data_file|2M/.test(options) ? [] : [`write -c -P 3 192k ${/cluster_size=(\w+)/.exec(options)?.[1] ?? '64k'}`]), ...more)
  }

  const layouts = ['', 'compat=0.10', 'cluster_size=512', 'cluster_size=512,refcount_bits=64', 'cluster_size=4k,refcount_bits=1', 'extended_l2=on,cluster_size=16k', 'compression_type=zstd', 'cluster_size=2M']
  for (const options of layouts) {
    it(`leaves what the reference leaves when it has committed (${options || 'default'})`, async () => {
      make('theirs.qcow2', options)
      const file = tools.load('theirs.qcow2')
      tools.img('commit', '-q', '-f', 'qcow2', 'theirs.qcow2')
      writeFileSync(tools.path('base.raw'), base)
      const image = await openQcow2({ file, backing: new MemoryChild({ content: base }) })
      await image.makeEmpty!()
      expect(await contentDiffers(image, below)).toBeNull()
      await image.writer!.flush('stable')
      tools.save('ours.qcow2', file)
      tools.check('ours.qcow2')
      const facts = (name: string): unknown => ({ ...JSON.parse(tools.img('info', '--output=json', name)), filename: '', 'actual-size': 0, children: [] })
      expect(facts('ours.qcow2')).toEqual(facts('theirs.qcow2'))
      expect(tools.img('map', '--output=json', 'ours.qcow2')).toBe(tools.img('map', '--output=json', 'theirs.qcow2'))
      expect(file.size()).toBeLessThanOrEqual(statSync(tools.path('theirs.qcow2')).size)
      if (!options.includes('0.10')) expect(file.size()).toBe(statSync(tools.path('theirs.qcow2')).size)

      // It goes on as a new image would.
      const random = new Random(1)
      const limits = { zero: image.limits.zeroAlignment, discard: image.limits.discardAlignment, cluster: image.limits.clusterSize, compress: true, discards: !options.includes('0.10') }
      const model = below.slice()
      for (const operation of pickOperations(random, SIZE, limits, 30, 50)) {
        await perform(image, operation)
        applyToModel(model, operation)
      }
      expect(await contentDiffers(image, model)).toBeNull()
      await image.makeEmpty!()
      await image.writer!.write(1000, new Uint8Array(5000).fill(9), 0)
      await image.close()
      tools.save('ours.qcow2', file)
      tools.check('ours.qcow2')
      const expected = below.slice()
      expected.fill(9, 1000, 6000)
      expect(Buffer.compare(tools.raw('ours.qcow2'), expected)).toBe(0)
    })
  }

  it('works when the structures of an empty image belong where others are', async () => {
    // The refcount table has grown away from its first place, which is free.
    make('grown.qcow2', 'cluster_size=512,refcount_bits=64', `write -P 7 0 ${SIZE}`)
    const file = tools.load('grown.qcow2')
    for (let round = 0; round < 3; round++) {
      const image = await openQcow2({ file, backing: new MemoryChild({ content: base }) })
      for (let at = 0; at < SIZE; at += 4096) await image.writer!.write(at, new Uint8Array(4096).fill(round), 0)
      await image.writer!.flush('stable')
      await image.makeEmpty!()
      expect(await contentDiffers(image, below)).toBeNull()
      await image.close()
      tools.save('grown.qcow2', file)
      tools.check('grown.qcow2')
      expect(file.size()).toBeLessThan(16 * 512)
    }
  })

  for (const options of ['cluster_size=4k', 'compat=0.10,cluster_size=4k', 'extended_l2=on,cluster_size=16k']) {
    it(`keeps its snapshots (${options})`, async () => {
      make('snap.qcow2', options)
      tools.img('snapshot', '-c', 'one', 'snap.qcow2')
      const one = tools.raw('snap.qcow2')
      tools.io('snap.qcow2', 'write -P 8 50k 200k')
      const file = tools.load('snap.qcow2')
      const image = await openQcow2({ file, backing: new MemoryChild({ content: base }) })
      await image.makeEmpty!()
      expect(await contentDiffers(image, below)).toBeNull()
      expect(Buffer.compare(await readAll(await image.snapshots!.openReadOnly('one')), one)).toBe(0)
      await image.close()
      tools.save('snap.qcow2', file)
      tools.check('snap.qcow2')
      expect(Buffer.compare(tools.raw('snap.qcow2'), below)).toBe(0)
      expect(Buffer.compare(tools.raw('snap.qcow2', '-l', 'one'), one)).toBe(0)
    })
  }

  it('keeps the external data file, which gives its space back', async () => {
    make('data.qcow2', `cluster_size=4k,data_file=${tools.path('data.raw')}`)
    const file = tools.load('data.qcow2')
    const dataFile = tools.load('data.raw')
    dataFile.recording = true
    const image = await openQcow2({ file, dataFile, backing: new MemoryChild({ content: base }) })
    await image.makeEmpty!()
    expect(await contentDiffers(image, below)).toBeNull()
    expect(dataFile.events.filter(({ op }) => op === 'discard')).toHaveLength(1)
    await image.writer!.write(100, new Uint8Array(10), 0)
    await image.close()
    tools.save('data.qcow2', file)
    tools.save('data.raw', dataFile)
    tools.check('data.qcow2')
    const expected = below.slice()
    expected.fill(0, 100, 110)
    expect(Buffer.compare(tools.raw('data.qcow2'), expected)).toBe(0)
  })

  it('zeroes a raw external data file', async () => {
    tools.create('raw.qcow2', String(SIZE), `data_file=${tools.path('raw.raw')},data_file_raw=on`)
    tools.io('raw.qcow2', 'write -P 1 0 100k')
    const [file, dataFile] = [tools.load('raw.qcow2'), tools.load('raw.raw')]
    const image = await openQcow2({ file, dataFile })
    await image.makeEmpty!()
    await image.close()
    expect(Buffer.compare(dataFile.content, new Uint8Array(SIZE))).toBe(0)
    tools.save('raw.qcow2', file)
    tools.save('raw.raw', dataFile)
    tools.check('raw.qcow2')
    expect(Buffer.compare(tools.raw('raw.qcow2'), new Uint8Array(SIZE))).toBe(0)
  })

  it('is there only where the image can be written', async () => {
    make('ro.qcow2', '')
    expect(await openQcow2({ file: tools.load('ro.qcow2'), mode: { readOnly: true, noBacking: true } })).not.toHaveProperty('makeEmpty')
  })

  it('waits for requests, and requests wait for it', async () => {
    make('busy.qcow2', 'cluster_size=4k')
    const file = tools.load('busy.qcow2')
    const image = await openQcow2({ file, backing: new MemoryChild({ content: base }) })
    const random = new Random(3)
    file.before = async () => {
      for (let turns = random.below(5); turns > 0; turns--) await Promise.resolve()
    }
    await image.writer!.write(0, new Uint8Array(10), 0)
    const writes = (value: number): Promise<void>[] => Array.from({ length: 40 }, (_, i) => image.writer!.write(i * 5000, new Uint8Array(5000).fill(value), 0))
    const first = writes(1)
    const emptied = image.makeEmpty!()
    const second = writes(2)
    await Promise.all([...first, emptied, ...second])
    const expected = below.slice()
    expected.fill(2, 0, 200_000)
    expect(await contentDiffers(image, expected)).toBeNull()
    await image.close()
    tools.save('busy.qcow2', file)
    tools.check('busy.qcow2')
  })

  const crashing: Readonly<Record<string, { options: string; snapshot?: boolean; dataFile?: boolean }>> = {
    'starting over': { options: 'cluster_size=4k' },
    'starting over, 512-byte clusters': { options: 'cluster_size=512,refcount_bits=64' },
    'starting over, version 2': { options: 'compat=0.10,cluster_size=8k' },
    'with a snapshot': { options: 'cluster_size=4k', snapshot: true },
    'with an external data file': { options: 'cluster_size=16k', dataFile: true },
  }
  for (const [what, { options, snapshot, dataFile }] of Object.entries(crashing)) {
    const mixes = snapshot === true || dataFile === true
    const prepare = (): { files: Files; old: Uint8Array } => {
      make('crash.qcow2', dataFile ? `${options},data_file=${tools.path('crash.raw')}` : options)
      if (snapshot) {
        tools.img('snapshot', '-c', 'one', 'crash.qcow2')
        tools.io('crash.qcow2', 'write -P 8 50k 200k')
      }
      return { files: { file: bytesOf('crash.qcow2'), backing: base, ...(dataFile && { dataFile: bytesOf('crash.raw') }) }, old: tools.raw('crash.qcow2') }
    }
    it(`a crash leaves what was there, or nothing (${what})`, async () => {
      const { files, old } = prepare()
      const points = await crashEverywhere(tools, {
        files,
        seed: 7,
        run: async (image) => {
          await image.makeEmpty!()
          await image.writer!.flush('stable')
        },
        judge: async (image, isDone) => {
          const found = await readAll(image)
          if (Buffer.compare(found, below) === 0) return null
          if (isDone) return 'there is data after it was done'
          if (Buffer.compare(found, old) === 0) return null
          if (!mixes) return 'there is something else'
          const at = found.findIndex((byte, i) => byte !== old[i] && byte !== below[i])
          return at === -1 ? null : `byte ${at} is neither old nor what is below`
        },
      })
      expect(points).toBeGreaterThan(20)
    })

    it(`a failed request leaves what was there, or nothing, and it works later (${what})`, async () => {
      const { files, old } = prepare()
      const failures = await failEverywhere(tools, {
        files,
        run: async (image) => {
          await image.makeEmpty!()
          await image.writer!.flush('stable')
        },
        judge: async (image) => {
          const wrong = await contentDiffers(image, below)
          await image.writer!.write(3000, below.slice(3000, 9000), 0)
          return wrong
        },
        judgeFailed: async (image) => {
          const found = await readAll(image)
          const at = found.findIndex((byte, i) => byte !== old[i] && byte !== below[i])
          return at === -1 ? null : `byte ${at} is neither old nor what is below`
        },
      })
      expect(failures).toBeGreaterThan(5)
    })
  }

  it('is as fast for a large image as for a small one', async () => {
    tools.create('large.qcow2', '1T')
    tools.io('large.qcow2', 'write -P 1 0 64k', 'write -P 1 700G 64k')
    const children = childrenOf({ file: bytesOf('large.qcow2') })
    const image = await openQcow2(children)
    children.file.recording = true
    await image.makeEmpty!()
    await image.close()
    expect(children.file.events.filter(({ op }) => op !== 'flush').length).toBeLessThan(20)
  })
})
