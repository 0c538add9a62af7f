import { createVirtualContext } from '@blockloom/coroutine-scheduler'
import type { Clock } from '@blockloom/block-driver'
import { afterAll, describe, expect, it } from 'vitest'
import { CacheCleaner } from '../src/cache-cleaner.ts'
import { openWriter } from '../src/open-writer.ts'
import { openImage } from '../src/open.ts'
import { readGuest } from '../src/read.ts'
import { SnapshotStore } from '../src/snapshot-store.ts'
import { writeGuest } from '../src/write.ts'
import type { Qcow2Writer } from '../src/writer.ts'
import { createInMemory } from './harness/create.ts'
import { findCorruptions } from './harness/consistency.ts'
import type { MemoryChild } from './harness/memory-child.ts'
import { contextOf, openQcow2 } from './harness/open.ts'
import { Random } from './harness/random.ts'
import { haveReference, Reference } from './harness/reference.ts'

const KIB = 1024
const MIB = 1024 * KIB
const CLUSTER = 512
/** Guest bytes that one L2 table maps. */
const COVERAGE = 32 * KIB
const TABLES = 300

/** A writer with its caches in sight, not behind an instance. */
async function writerOf(file: MemoryChild, options: Readonly<Record<string, unknown>>): Promise<Qcow2Writer> {
  let writer: Qcow2Writer | null = null
  const image = await openImage(contextOf({ file, options }), async () => writer?.committer.run(false))
  writer = await openWriter(image, new SnapshotStore([], 0))
  return writer
}

function content(at: number): Uint8Array {
  return new Uint8Array(CLUSTER).fill(1 + ((at / CLUSTER) % 251))
}

describe('memory follows the options', () => {
  const wanted = [
    { 'l2-cache-size': 16 * CLUSTER, 'refcount-cache-size': 4 * CLUSTER },
    { 'l2-cache-size': 64 * CLUSTER, 'refcount-cache-size': 32 * CLUSTER },
    { 'cache-size': 20 * CLUSTER },
    { 'cache-size': 20 * CLUSTER, 'l2-cache-size': 12 * CLUSTER },
    { 'cache-size': 20 * CLUSTER, 'refcount-cache-size': 12 * CLUSTER },
  ]
  it.each(wanted)('%j: a huge sparse image that is written and read all over', async (options) => {
    const file = await createInMemory({ size: 64 * 1024 * MIB, cluster_size: CLUSTER })
    const writer = await writerOf(file, options)
    const l2 = writer.image.l2Cache
    const refcounts = writer.refcounts.cache
    const bound = { l2: l2.maxBytes, refcounts: refcounts.maxBytes }
    const [asked, l2Size, refcountSize] = [options['cache-size'], options['l2-cache-size'], options['refcount-cache-size']]
    if (asked !== undefined) expect(bound.l2 + bound.refcounts).toBe(asked)
    if (l2Size !== undefined) expect(bound.l2).toBe(l2Size)
    if (refcountSize !== undefined) expect(bound.refcounts).toBe(refcountSize)

    const random = new Random(7)
    const places = Array.from({ length: TABLES }, (_, i) => i * 200 * COVERAGE + random.below(64) * CLUSTER)
    const most = { l2: 0, refcounts: 0 }
    const look = (): void => {
      most.l2 = Math.max(most.l2, l2.stats.bytes)
      most.refcounts = Math.max(most.refcounts, refcounts.stats.bytes)
    }
    for (const at of places) {
      await writeGuest(writer, at, content(at))
      look()
    }
    for (let i = 0; i < 600; i++) {
      const at = random.pick(places)
      const into = new Uint8Array(CLUSTER)
      await readGuest(writer.image, writer.image.mapper, at, into)
      expect(into, `at ${at}`).toEqual(content(at))
      look()
    }
    await writer.settle()
    look()
    // A table that is being made may be one too many for a moment.
    expect(most.l2).toBeLessThanOrEqual(bound.l2 + CLUSTER)
    expect(most.refcounts).toBeLessThanOrEqual(bound.refcounts + CLUSTER)
    expect(most.l2).toBeGreaterThan(bound.l2 / 2)
    expect(findCorruptions(file.content)).toEqual([])
  })

  it('a cache that is large enough reads each table once, a small one again and again', async () => {
    const file = await createInMemory({ size: 1024 * MIB, cluster_size: CLUSTER })
    const filling = await writerOf(file, {})
    for (let i = 0; i < 100; i++) await writeGuest(filling, i * COVERAGE, content(0))
    await filling.settle()
    const loads = async (options: Readonly<Record<string, unknown>>): Promise<number> => {
      const { image } = await writerOf(file, options)
      for (let i = 0; i < 300; i++) await readGuest(image, image.mapper, (i % 100) * COVERAGE, new Uint8Array(CLUSTER))
      return image.l2Cache.stats.loads
    }
    expect(await loads({ 'l2-cache-size': 100 * CLUSTER })).toBe(100)
    expect(await loads({ 'l2-cache-size': 10 * CLUSTER })).toBe(300)
    expect(await loads({})).toBe(100)
  })

  it('tables are read in parts of l2-cache-entry-size', async () => {
    const file = await createInMemory({ size: 1024 * MIB, cluster_size: 65536 })
    const filling = await writerOf(file, {})
    await writeGuest(filling, 0, content(0))
    await filling.settle()
    for (const entry of [512, 4096, 65536]) {
      const { image } = await writerOf(file, { 'l2-cache-entry-size': entry })
      await readGuest(image, image.mapper, 0, new Uint8Array(CLUSTER))
      expect(image.l2Cache.stats).toMatchObject({ entries: 1, bytes: entry })
    }
  })
})

describe.runIf(haveReference)('sizes that are refused, and what for', () => {
  const tools = new Reference()
  afterAll(() => tools[Symbol.dispose]())
  tools.create('sizes.qcow2', '1G')

  it.each([
    'cache-size=1M,l2-cache-size=2M',
    'cache-size=1M,refcount-cache-size=2M',
    'cache-size=1M,l2-cache-size=1M,refcount-cache-size=1k',
    'cache-size=0',
    'cache-size=1',
    'l2-cache-size=0',
    'refcount-cache-size=0',
    'l2-cache-size=7P',
    'refcount-cache-size=7P',
    'cache-size=7P',
    'cache-size=512,l2-cache-size=512',
    'l2-cache-entry-size=0',
    'l2-cache-entry-size=256',
    'l2-cache-entry-size=513',
    'l2-cache-entry-size=512',
    'l2-cache-entry-size=64k',
    'l2-cache-entry-size=128k',
    'l2-cache-size=x',
    'cache-clean-interval=0',
    'cache-clean-interval=4294967295',
    'cache-clean-interval=4294967296',
    'cache-clean-interval=-1',
    'cache-clean-interval=x',
  ])('%s', async (text) => {
    const theirs = tools.tryIo(['--image-opts', `driver=qcow2,file.filename=sizes.qcow2,${text}`], 'read 0 64k')
    const options = Object.fromEntries(text.split(',').map((part) => part.split('=') as [string, string]))
    const ours = await openQcow2({ file: tools.load('sizes.qcow2'), options }).then(
      async (image) => {
        await image.read(0, new Uint8Array(65536), 0)
        await image.close()
        return undefined
      },
      (error: Error) => error.message.split('\n')[0],
    )
    expect(ours).toBe(/can't open: (.*)/.exec(theirs)?.[1])
  })
})

describe('cache-clean-interval', () => {
  const SECOND = 1000

  async function filled(): Promise<MemoryChild> {
    const file = await createInMemory({ size: 4 * MIB, cluster_size: CLUSTER })
    const image = await openQcow2({ file })
    for (let i = 0; i < 4; i++) await image.writer!.write(i * COVERAGE, content(i * CLUSTER), 0)
    await image.close()
    return file
  }

  it('drops tables that were not used for the interval, and no others', async () => {
    const file = await filled()
    const context = createVirtualContext({ seed: 1 })
    const image = await openQcow2({ file, clock: context, options: { 'cache-clean-interval': 10 } })
    /** How many requests to the file a read takes: one for the data, and one for a table that is not cached. */
    const cost = async (table: number): Promise<number> => {
      const before = file.reads
      const into = new Uint8Array(CLUSTER)
      await image.read(table * COVERAGE, into, 0)
      expect(into).toEqual(content(table * CLUSTER))
      return file.reads - before
    }
    await context.run(async () => {
      expect([await cost(0), await cost(1), await cost(0)]).toEqual([2, 2, 1])
      await context.sleep(10.5 * SECOND)
      // The first interval only saw that they were used.
      expect(await cost(0)).toBe(1)
      await context.sleep(10 * SECOND)
      expect([await cost(0), await cost(1)]).toEqual([1, 2])
      await context.sleep(20 * SECOND)
      expect([await cost(0), await cost(1)]).toEqual([2, 2])
    })
    await image.close()
  })

  it('keeps changes that are not written yet', async () => {
    const file = await filled()
    const context = createVirtualContext({ seed: 2 })
    const image = await openQcow2({ file, clock: context, options: { 'cache-clean-interval': 1 } })
    await context.run(async () => {
      await image.writer!.write(5 * COVERAGE, content(5 * CLUSTER), 0)
      await context.sleep(100 * SECOND)
      const into = new Uint8Array(CLUSTER)
      await image.read(5 * COVERAGE, into, 0)
      expect(into).toEqual(content(5 * CLUSTER))
    })
    await image.close()
    expect(findCorruptions(file.content)).toEqual([])
    const again = await openQcow2({ file })
    const into = new Uint8Array(CLUSTER)
    await again.read(5 * COVERAGE, into, 0)
    expect(into).toEqual(content(5 * CLUSTER))
  })

  it('frees the memory of both caches', async () => {
    const context = createVirtualContext({ seed: 3 })
    const writer = await writerOf(await filled(), {})
    const caches = [writer.image.l2Cache, writer.refcounts.cache]
    const cleaner = new CacheCleaner(600, caches, () => {})
    cleaner.attach(context)
    for (let i = 0; i < 100; i++) await writeGuest(writer, i * COVERAGE, content(0))
    await writer.settle()
    for (const cache of caches) expect(cache.stats.entries).toBeGreaterThan(0)
    await context.run(() => context.sleep(1201 * SECOND))
    for (const cache of caches) expect(cache.stats).toMatchObject({ entries: 0, bytes: 0 })
    cleaner.detach()
  })

  /** A clock that says who sleeps. */
  class Sleepers implements Clock {
    readonly asleep: { readonly ms: number; readonly background: boolean }[] = []

    now(): number {
      return 0
    }

    sleep(ms: number, signal?: AbortSignal, how?: { readonly background?: boolean }): Promise<void> {
      const sleeper = { ms, background: how?.background ?? false }
      this.asleep.push(sleeper)
      return new Promise((_resolve, reject) =>
        signal?.addEventListener('abort', () => {
          this.asleep.splice(this.asleep.indexOf(sleeper), 1)
          reject(signal.reason as Error)
        }),
      )
    }
  }

  it('sleeps in the background, 600 s unless told otherwise, until the image is closed', async () => {
    const file = await filled()
    const clock = new Sleepers()
    const warnings: string[] = []
    const image = await openQcow2({ file, clock, warnings })
    const reader = await openQcow2({ file, clock, warnings, mode: { readOnly: true }, options: { 'cache-clean-interval': 7 } })
    expect(clock.asleep).toEqual([{ ms: 600 * SECOND, background: true }, { ms: 7 * SECOND, background: true }])
    await image.close()
    await reader.close()
    expect(clock.asleep).toEqual([])
    await openQcow2({ file, clock, warnings, options: { 'cache-clean-interval': 0 } })
    expect(clock.asleep).toEqual([])
    expect(warnings).toEqual([])
  })

  it('moves to another event loop with its image', async () => {
    const file = await filled()
    const [from, to] = [new Sleepers(), new Sleepers()]
    const image = await openQcow2({ file, clock: from })
    image.aioContext!.detach()
    expect([from.asleep.length, to.asleep.length]).toEqual([0, 0])
    image.aioContext!.attach(to)
    expect([from.asleep.length, to.asleep.length]).toEqual([0, 1])
    await image.close()
    expect(to.asleep).toEqual([])
  })

  it('a clock that fails is reported, and the image works on', async () => {
    const file = await filled()
    const warnings: string[] = []
    const image = await openQcow2({ file, warnings, clock: { now: () => 0, sleep: () => Promise.reject(new Error('no time')) } })
    await image.read(0, new Uint8Array(CLUSTER), 0)
    expect(warnings).toEqual(['Unused cache entries are not dropped any more: no time'])
    await image.close()
  })
})
