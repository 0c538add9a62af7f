import { afterAll, describe, expect, it } from 'vitest'
import { findCorruptions } from './harness/consistency.ts'
import { openQcow2, readAll } from './harness/open.ts'
import { Random } from './harness/random.ts'
import { haveReference, Reference } from './harness/reference.ts'
import { applyToModel, perform, pickOperations, type Operation } from './harness/workload.ts'

const SIZE = 1024 * 1024

describe.runIf(haveReference)('when requests fail', () => {
  const tools = new Reference()
  afterAll(() => tools[Symbol.dispose]())

  for (const [seed, options] of ['cluster_size=4k', 'cluster_size=512', 'extended_l2=on,cluster_size=16k', 'cluster_size=64k'].entries()) {
    it(`the rest of the image is as it should be, and later requests work (${options})`, async () => {
      const random = new Random(seed + 1)
      const name = `faults-${seed}.qcow2`
      tools.create(name, String(SIZE), options)
      const file = tools.load(name)
      const image = await openQcow2({ file, options: { 'l2-cache-size': 16384, 'refcount-cache-size': 8192, 'l2-cache-entry-size': 512 } })
      const limits = { zero: image.limits.zeroAlignment, discard: image.limits.discardAlignment, cluster: image.limits.clusterSize, compress: true, discards: true }
      const model = new Uint8Array(SIZE)
      let failures = 0
      for (let round = 0; round < 40; round++) {
        file.before = async (op) => {
          for (let turns = random.below(3); turns > 0; turns--) await Promise.resolve()
          if (op !== 'discard' && random.chance(0.03)) throw new Error(`${op} failed`)
        }
        const operations = pickOperations(random, SIZE, limits, 16, round * 100)
        const failed: Operation[] = []
        await Promise.all(
          operations.map((operation) =>
            perform(image, operation).then(
              () => applyToModel(model, operation),
              () => failed.push(operation),
            ),
          ),
        )
        if (random.chance(0.4)) await image.writer!.flush('stable').catch(() => failures++)
        file.before = undefined
        failures += failed.length
        // What failed may hold old or new bytes; writing it again must work.
        for (const operation of failed) {
          await perform(image, operation)
          applyToModel(model, operation)
        }
        expect(Buffer.compare(await readAll(image), model), `seed ${seed}, round ${round}`).toBe(0)
      }
      expect(failures).toBeGreaterThan(5)
      await image.writer!.flush('stable')
      await image.close()
      tools.save(name, file)
      expect(findCorruptions(file.content)).toEqual([])
      expect(Buffer.compare(tools.raw(name), model)).toBe(0)
      // Leaks, if any, are all that a repair finds.
      tools.img('check', '-q', '-r', 'leaks', name)
    })
  }

  it('a failed allocating write leaves no trace', async () => {
    tools.create('trace.qcow2', '1M')
    const file = tools.load('trace.qcow2')
    const image = await openQcow2({ file })
    await image.writer!.write(0, new Uint8Array(10), 0)
    file.before = (op, offset) => {
      if (op === 'write' && offset >= 5 * 65536) throw Object.assign(new Error('full'), { code: 'no-space' })
    }
    await expect(image.writer!.write(300_000, new Uint8Array(200_000).fill(1), 0)).rejects.toThrow('full')
    expect(await image.extents!(262_144, 300_000)).toMatchObject({ kind: 'absent', bytes: 300_000 })
    file.before = undefined
    await image.writer!.flush('stable')
    await image.close()
    tools.save('trace.qcow2', file)
    tools.check('trace.qcow2')
  })

  it('a read waits for nothing that is written elsewhere', async () => {
    tools.create('stuck.qcow2', '1M')
    const file = tools.load('stuck.qcow2')
    const image = await openQcow2({ file })
    await image.writer!.write(0, new Uint8Array(65536).fill(5), 0)
    const gate = Promise.withResolvers<void>()
    file.before = (op) => (op === 'write' ? gate.promise : undefined)
    const stuck = image.writer!.write(200_000, new Uint8Array(512), 0)
    const into = new Uint8Array(512)
    await image.read(1000, into, 0)
    await image.read(200_000, into, 0)
    expect(into[0]).toBe(0)
    gate.resolve()
    await stuck
  })
})

describe.runIf(haveReference)('many writers at once', () => {
  const tools = new Reference()
  afterAll(() => tools[Symbol.dispose]())

  it('to one unallocated cluster share one allocation', async () => {
    tools.create('one.qcow2', '1M')
    const file = tools.load('one.qcow2')
    const image = await openQcow2({ file })
    const before = Math.ceil(file.size() / 65536) * 65536
    await Promise.all(Array.from({ length: 128 }, (_, i) => image.writer!.write(i * 512, new Uint8Array(512).fill(i + 1), 0)))
    expect(await image.extents!(0, 65536)).toMatchObject({ kind: 'data', bytes: 65536 })
    const into = new Uint8Array(65536)
    await image.read(0, into, 0)
    for (let i = 0; i < 128; i++) expect(into[i * 512]).toBe(i + 1)
    // One cluster of data behind a new L2 table.
    expect(file.size()).toBeLessThanOrEqual(before + 2 * 65536)
    await image.close()
    tools.save('one.qcow2', file)
    tools.check('one.qcow2')
  })

  it('to different clusters do not wait for each other', async () => {
    tools.create('apart.qcow2', '64M')
    const file = tools.load('apart.qcow2')
    const image = await openQcow2({ file })
    await image.writer!.write(0, new Uint8Array(512), 0)
    let inFlight = 0
    let most = 0
    file.before = async (op) => {
      if (op !== 'write') return
      most = Math.max(most, ++inFlight)
      await new Promise((resolve) => setImmediate(resolve))
      inFlight--
    }
    await Promise.all(Array.from({ length: 500 }, (_, i) => image.writer!.write((i + 1) * 65536 + 100, new Uint8Array(512), 0)))
    expect(most).toBe(500)
  })

  it('a large write into nothing is one request', async () => {
    tools.create('large.qcow2', '64M')
    const file = tools.load('large.qcow2')
    const image = await openQcow2({ file })
    await image.writer!.write(0, new Uint8Array(512), 0)
    file.recording = true
    await image.writer!.write(1 << 20, new Uint8Array(1 << 20).fill(1), 0)
    expect(file.events.map((event) => event.op)).toEqual(['write'])
    file.events.length = 0
    await image.writer!.flush('stable')
    expect(file.events.filter((event) => event.op === 'flush').length).toBeLessThanOrEqual(3)
    file.events.length = 0
    await image.writer!.write(3 << 20, new Uint8Array(1 << 20).fill(1), 0)
    await image.writer!.flush('stable')
    // Data and refcounts, then tables.
    expect(file.events.map((event) => event.op)).toEqual(['write', 'write', 'flush', 'write', 'flush'])
  })
})

describe.runIf(haveReference)('an image with internal snapshots', () => {
  const tools = new Reference()
  afterAll(() => tools[Symbol.dispose]())

  for (const options of ['cluster_size=4k', 'extended_l2=on,cluster_size=16k', 'compat=0.10,cluster_size=4k']) {
    it(`can be written without touching them (${options})`, async () => {
      const random = new Random(options.length)
      const name = `snap-${options.length}.qcow2`
      tools.create(name, String(SIZE), options)
      tools.io(name, 'write -P 1 0 300k', 'write -P 2 600k 10000')
      tools.io(name, `write -c -P 3 819200 ${options.includes('16k') ? 16384 : 4096}`)
      tools.img('snapshot', '-c', 'first', name)
      const first = tools.raw(name)
      tools.io(name, 'write -P 4 100k 50k')
      tools.img('snapshot', '-c', 'second', name)
      const second = tools.raw(name)
      const file = tools.load(name)
      const image = await openQcow2({ file })
      const model = second.slice()
      const limits = { zero: image.limits.zeroAlignment, discard: image.limits.discardAlignment, cluster: image.limits.clusterSize, compress: true, discards: true }
      for (let round = 0; round < 20; round++) {
        const operations = pickOperations(random, SIZE, limits, 16, round * 100)
        await Promise.all(operations.map((operation) => perform(image, operation)))
        for (const operation of operations) applyToModel(model, operation)
        if (random.chance(0.3)) await image.writer!.flush('stable')
      }
      expect(Buffer.compare(await readAll(image), model)).toBe(0)
      expect(Buffer.compare(await readAll(await image.snapshots!.openReadOnly('first')), first)).toBe(0)
      expect(Buffer.compare(await readAll(await image.snapshots!.openReadOnly('2')), second)).toBe(0)
      await image.writer!.flush('stable')
      await image.close()
      tools.save(name, file)
      tools.check(name)
      expect(Buffer.compare(tools.raw(name), model)).toBe(0)
      expect(Buffer.compare(tools.raw(name, '-l', 'first'), first)).toBe(0)
      expect(Buffer.compare(tools.raw(name, '-l', 'second'), second)).toBe(0)
    })
  }
})
