import { RequestFlag, type Instance } from '@blockloom/block-driver'
import { afterAll, describe, expect, it } from 'vitest'
import { MemoryChild } from './harness/memory-child.ts'
import { openQcow2, readAll } from './harness/open.ts'
import { Random } from './harness/random.ts'
import { haveReference, Reference } from './harness/reference.ts'
import { applyToModel, perform, pickOperations } from './harness/workload.ts'

const KIB = 1024
const CLUSTER = 64 * KIB
const NO_UNREF = { 'discard-no-unref': true }

/** Host offset of what is at guest `offset`, with or without a zero flag. */
async function hostOf(image: Instance, offset: number): Promise<number | undefined> {
  const extent = await image.extents!(offset, 1)
  return 'host' in extent ? extent.host?.offset : undefined
}

function discards(file: MemoryChild): { offset: number; length: number }[] {
  return file.events.flatMap((event) => (event.op === 'discard' ? [{ offset: event.offset, length: event.length }] : []))
}

/** Discards in the file do not end before `gate` resolves; `reached` resolves at the first. */
function holdDiscards(file: MemoryChild): Record<'reached' | 'gate', PromiseWithResolvers<void>> {
  const gate = Promise.withResolvers<void>()
  const reached = Promise.withResolvers<void>()
  file.before = (op) => {
    if (op !== 'discard') return undefined
    reached.resolve()
    return gate.promise
  }
  return { reached, gate }
}

describe.runIf(haveReference)('discard-no-unref', () => {
  const tools = new Reference()
  afterAll(() => tools[Symbol.dispose]())

  function make(options = '', ...commands: string[]): MemoryChild {
    tools.create('image.qcow2', '1M', options)
    tools.io('image.qcow2', ...(commands.length > 0 ? commands : ['write -P 1 0 512k']))
    const file = tools.load('image.qcow2')
    file.recording = true
    return file
  }

  async function closeAndCheck(image: Instance, file: MemoryChild, expected: Uint8Array): Promise<void> {
    await image.close()
    tools.save('image.qcow2', file)
    tools.check('image.qcow2')
    expect(Buffer.compare(tools.raw('image.qcow2'), expected)).toBe(0)
  }

  it.each(['', 'extended_l2=on'])('a discarded cluster stays allocated and reads as zeroes; its bytes go when that is stable (%s)', async (options) => {
    const file = make(options)
    const image = await openQcow2({ file, options: NO_UNREF })
    const hosts = await Promise.all([1, 2, 3, 5].map((cluster) => hostOf(image, cluster * CLUSTER)))
    expect(await image.discard!(CLUSTER, 3 * CLUSTER)).toBe('done')
    expect(await image.discard!(5 * CLUSTER, CLUSTER)).toBe('done')
    expect(discards(file)).toEqual([])
    await image.writer!.flush('stable')
    const flush = file.events.map(({ op }) => op).lastIndexOf('flush')
    await image.close()
    // Neighbours at once, and both after the flush that made the entries stable.
    expect(discards(file)).toEqual([{ offset: hosts[0], length: 3 * CLUSTER }, { offset: hosts[3], length: CLUSTER }])
    expect(file.events.findIndex(({ op }) => op === 'discard')).toBeGreaterThan(flush)

    const again = await openQcow2({ file, options: NO_UNREF })
    expect(await Promise.all([1, 2, 3, 5].map((cluster) => hostOf(again, cluster * CLUSTER)))).toEqual(hosts)
    expect(await again.extents!(CLUSTER, 3 * CLUSTER)).toMatchObject({ kind: 'zero', bytes: 3 * CLUSTER })
    const expected = new Uint8Array(1024 * KIB).fill(1, 0, 512 * KIB)
    expected.fill(0, CLUSTER, 4 * CLUSTER).fill(0, 5 * CLUSTER, 6 * CLUSTER)
    expect(Buffer.compare(await readAll(again), expected)).toBe(0)
    await closeAndCheck(again, file, expected)
  })

  it('changes no refcount, and writing again goes to the same place: the file does not grow', async () => {
    const file = make()
    const image = await openQcow2({ file, options: NO_UNREF })
    const size = file.size()
    const refcounts = file.content.slice(2 * CLUSTER, 3 * CLUSTER)
    const hosts = await Promise.all(Array.from({ length: 8 }, (_, cluster) => hostOf(image, cluster * CLUSTER)))
    const random = new Random(5)
    const expected = new Uint8Array(1024 * KIB).fill(1, 0, 512 * KIB)
    for (let round = 0; round < 60; round++) {
      const at = random.below(8) * CLUSTER
      await image.discard!(at, CLUSTER)
      expected.fill(0, at, at + CLUSTER)
      if (random.chance(0.3)) await image.writer!.flush('stable')
      const again = random.below(8) * CLUSTER
      const data = new Uint8Array(1 + random.below(CLUSTER)).fill(round)
      await image.writer!.write(again, data, 0)
      expected.set(data, again)
    }
    await image.writer!.flush('stable')
    expect(file.size()).toBe(size)
    expect(Buffer.compare(file.content.subarray(2 * CLUSTER, 3 * CLUSTER), refcounts)).toBe(0)
    expect(await Promise.all(hosts.map((_, cluster) => hostOf(image, cluster * CLUSTER)))).toEqual(hosts)
    await closeAndCheck(image, file, expected)
  })

  it('without the option, clusters are freed', async () => {
    const file = make()
    const image = await openQcow2({ file })
    await image.discard!(CLUSTER, CLUSTER)
    expect(await hostOf(image, CLUSTER)).toBeUndefined()
    await image.close()
  })

  it('the bytes stay in the file if pass-discard-request says so', async () => {
    const file = make()
    const image = await openQcow2({ file, options: { ...NO_UNREF, 'pass-discard-request': false } })
    const host = await hostOf(image, CLUSTER)
    await image.discard!(CLUSTER, CLUSTER)
    await closeAndCheck(image, file, new Uint8Array(1024 * KIB).fill(1, 0, 512 * KIB).fill(0, CLUSTER, 2 * CLUSTER))
    expect(discards(file)).toEqual([])
    expect(file.content[host!]).toBe(1)
  })

  it('zeroing with unmap keeps them too, preallocated zeroes as well; compressed data is freed', async () => {
    const file = make('', 'write -P 1 0 512k', 'write -z 64k 64k', 'write -c -P 7 768k 64k')
    const image = await openQcow2({ file, options: NO_UNREF })
    const hosts = await Promise.all([0, 1].map((cluster) => hostOf(image, cluster * CLUSTER)))
    expect(hosts).not.toContain(undefined)
    await image.zero!(0, 2 * CLUSTER, RequestFlag.MAY_UNMAP)
    await image.discard!(768 * KIB, CLUSTER)
    await image.writer!.flush('stable')
    expect(await Promise.all([0, 1].map((cluster) => hostOf(image, cluster * CLUSTER)))).toEqual(hosts)
    expect(await hostOf(image, 768 * KIB)).toBeUndefined()
    await closeAndCheck(image, file, new Uint8Array(1024 * KIB).fill(1, 2 * CLUSTER, 512 * KIB))
    expect(discards(file)).toContainEqual({ offset: hosts[0], length: 2 * CLUSTER })
  })

  it('with a backing file, whose bytes do not show', async () => {
    tools.create('base.qcow2', '1M')
    tools.io('base.qcow2', 'write -P 0x42 0 1M')
    tools.create('image.qcow2', '1M', '', ['-b', 'base.qcow2', '-F', 'qcow2'])
    tools.io('image.qcow2', 'write -P 1 0 256k')
    const file = tools.load('image.qcow2')
    const backing = new MemoryChild({ content: new Uint8Array(1024 * KIB).fill(0x42) })
    const image = await openQcow2({ file, backing, options: NO_UNREF })
    const host = await hostOf(image, CLUSTER)
    await image.discard!(CLUSTER, CLUSTER)
    await image.discard!(512 * KIB, CLUSTER)
    expect(await hostOf(image, CLUSTER)).toBe(host)
    const expected = new Uint8Array(1024 * KIB).fill(0x42).fill(1, 0, 256 * KIB).fill(0, CLUSTER, 2 * CLUSTER).fill(0, 512 * KIB, 512 * KIB + CLUSTER)
    await closeAndCheck(image, file, expected)
  })

  it('what a snapshot shares is not kept: the snapshot has its bytes', async () => {
    make()
    tools.img('snapshot', '-c', 'before', 'image.qcow2')
    const before = tools.raw('image.qcow2')
    const file = tools.load('image.qcow2')
    file.recording = true
    const image = await openQcow2({ file, options: NO_UNREF })
    await image.writer!.write(0, new Uint8Array(CLUSTER).fill(9), 0)
    const own = await hostOf(image, 0)
    await image.discard!(0, 3 * CLUSTER)
    await image.writer!.flush('stable')
    expect([await hostOf(image, 0), await hostOf(image, CLUSTER)]).toEqual([own, undefined])
    await closeAndCheck(image, file, new Uint8Array(1024 * KIB).fill(1, 3 * CLUSTER, 512 * KIB))
    expect(discards(file)).toEqual([{ offset: own, length: CLUSTER }])
    expect(Buffer.compare(tools.raw('image.qcow2', '-l', 'before'), before)).toBe(0)
  })

  it('a write that comes before the bytes are discarded wins; one that comes meanwhile waits', async () => {
    const file = make()
    const image = await openQcow2({ file, options: NO_UNREF })
    await image.discard!(0, 2 * CLUSTER)
    await image.writer!.write(100, new Uint8Array(512).fill(7), 0)
    const { reached, gate } = holdDiscards(file)
    await image.writer!.flush('stable')
    await reached.promise
    let isWritten = false
    const writing = image.writer!.write(CLUSTER, new Uint8Array(CLUSTER).fill(8), 0).then(() => {
      isWritten = true
    })
    // Everywhere else the guest goes on.
    await image.writer!.write(3 * CLUSTER, new Uint8Array(CLUSTER).fill(6), 0)
    expect(isWritten).toBe(false)
    gate.resolve()
    await writing
    const expected = new Uint8Array(1024 * KIB).fill(1, 0, 512 * KIB).fill(0, 0, CLUSTER).fill(7, 100, 612).fill(8, CLUSTER, 2 * CLUSTER).fill(6, 3 * CLUSTER, 4 * CLUSTER)
    await closeAndCheck(image, file, expected)
    expect(discards(file)).toHaveLength(1)
  })

  it('what was written and became zeroes again goes when that is stable, not before: the file has what was written', async () => {
    const file = make()
    const image = await openQcow2({ file, options: NO_UNREF })
    const hosts = await Promise.all([0, 5, 6, 7].map((cluster) => hostOf(image, cluster * CLUSTER)))
    for (const at of [0, 5, 6, 7]) await image.discard!(at * CLUSTER, CLUSTER)
    const { reached, gate } = holdDiscards(file)
    await image.writer!.flush('stable')
    await reached.promise
    // Behind the first one others wait for their turn.
    for (const at of [5, 6]) await image.writer!.write(at * CLUSTER, new Uint8Array(CLUSTER).fill(9), 0)
    await image.writer!.flush('stable')
    await image.discard!(5 * CLUSTER, CLUSTER)
    await image.zero!(6 * CLUSTER, CLUSTER, 0)
    gate.resolve()
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
    expect(discards(file)).toEqual([hosts[0], hosts[3]].map((offset) => ({ offset, length: CLUSTER })))
    await image.writer!.flush('stable')
    const expected = new Uint8Array(1024 * KIB).fill(1, 0, 512 * KIB).fill(0, 0, CLUSTER).fill(0, 5 * CLUSTER, 8 * CLUSTER)
    await closeAndCheck(image, file, expected)
    expect(discards(file).slice(2)).toEqual([{ offset: hosts[1], length: CLUSTER }])
  })

  it('a file that cannot discard does no harm', async () => {
    const file = make()
    const image = await openQcow2({ file, options: NO_UNREF })
    file.before = (op) => {
      if (op === 'discard') throw new Error('no')
    }
    await image.discard!(0, 2 * CLUSTER)
    await closeAndCheck(image, file, new Uint8Array(1024 * KIB).fill(1, 2 * CLUSTER, 512 * KIB))
  })

  it('version 2 has no such entries', async () => {
    const file = make('compat=0.10')
    await expect(openQcow2({ file, options: NO_UNREF })).rejects.toMatchObject({
      code: 'invalid',
      message: 'discard-no-unref is only supported since qcow2 version 3',
      detail: { option: 'discard-no-unref' },
    })
    await openQcow2({ file })
  })

  it.each(['cluster_size=4k', 'extended_l2=on,cluster_size=16k'])('random requests, read back by the reference (%s)', async (options) => {
    const random = new Random(options.length)
    tools.create('image.qcow2', '1M', options)
    const file = tools.load('image.qcow2')
    file.before = async () => {
      for (let turns = random.below(3); turns > 0; turns--) await Promise.resolve()
    }
    const image = await openQcow2({ file, options: NO_UNREF })
    const limits = { zero: image.limits.zeroAlignment, discard: image.limits.discardAlignment, cluster: image.limits.clusterSize, compress: true, discards: true }
    const model = new Uint8Array(1024 * KIB)
    for (let round = 0; round < 120; round++) {
      const operations = pickOperations(random, model.length, limits, 16, round * 100)
      const flushing = random.chance(0.5) ? image.writer!.flush('stable') : undefined
      await Promise.all(operations.map((operation) => perform(image, operation)))
      for (const operation of operations) applyToModel(model, operation)
      await flushing
      if (round % 10 === 0) expect(Buffer.compare(await readAll(image), model), `seed ${random.seed}, round ${round}`).toBe(0)
    }
    await closeAndCheck(image, file, model)
  })
})
