import { isBlockError } from '@blockloom/block-driver'
import { withTempFolder } from '@blockloom/oracle'
import { commitImage, createImage, openImage, type CommitOptions } from 'blockloom'
import { beforeEach, describe, expect, test } from 'vitest'
import { assertSameBytes } from '../differential/compare.ts'
import { MemoryChain, type Fault } from './memory-chain.ts'

const KIB = 1024
/** A small one: whole disks are compared often. */
const CLUSTER = 16 * KIB
const SIZE = 64 * CLUSTER

describe('commitImage', () => {
  let chain: MemoryChain

  beforeEach(async () => {
    chain = new MemoryChain({ cluster_size: CLUSTER })
    await chain.create('base', SIZE)
    await chain.write('base', [0, 1, 20 * CLUSTER])
    await chain.create('middle', SIZE, { backing_file: 'memory:base', backing_fmt: 'qcow2' })
    await chain.write('middle', [2 * CLUSTER, 2, 4 * CLUSTER], [30 * CLUSTER, 2, CLUSTER])
    await chain.create('top', SIZE, { backing_file: 'memory:middle', backing_fmt: 'qcow2' })
    await chain.write('top', [5 * CLUSTER, 3, CLUSTER], [6 * CLUSTER, 0, CLUSTER], [50 * CLUSTER + 100, 3, 5])
  })

  const commit = async (options: CommitOptions = {}): Promise<void> => commitImage(await chain.open('top', { write: true }), options)

  /** Clusters that an image has itself. */
  const clusters = async (name: string): Promise<Record<number, string>> => {
    await using disk = await chain.open(name, { noBacking: true })
    const found: Record<number, string> = {}
    for (let i = 0; i * CLUSTER < disk.size; i++) {
      const extent = await disk.node.extents(i * CLUSTER, Math.min(CLUSTER, disk.size - i * CLUSTER))
      if (extent.kind !== 'absent') found[i] = extent.kind
    }
    return found
  }

  test('into the backing file, which then has it all; the overlay is empty', async () => {
    const before = await chain.content('top')
    const base = await chain.content('base')
    await commit()
    assertSameBytes(await chain.content('middle'), before)
    assertSameBytes(await chain.content('top'), before)
    assertSameBytes(await chain.content('base'), base)
    expect(await clusters('top')).toEqual({})
    expect(await clusters('middle')).toEqual({ 2: 'data', 3: 'data', 4: 'data', 5: 'data', 6: 'zero', 30: 'data', 50: 'data' })
    for (const name of ['top', 'middle']) await chain.assertUncorrupted(name)
  })

  test.each([[{ empty: false }, 'middle'], [{ base: 'memory:middle' }, 'middle'], [{ base: 'memory:base' }, 'base']])('keeps the overlay: %j', async (options, target) => {
    const before = await chain.content('top')
    const own = await clusters('top')
    await commit(options)
    assertSameBytes(await chain.content(target), before)
    assertSameBytes(await chain.content('top'), before)
    expect(await clusters('top')).toEqual(own)
    await chain.assertUncorrupted(target)
  })

  test('a named base that is the backing file can be had with an empty overlay', async () => {
    const before = await chain.content('top')
    await commit({ base: 'memory:middle', empty: true })
    assertSameBytes(await chain.content('top'), before)
    expect(await clusters('top')).toEqual({})
  })

  test('only the target is written to, until the overlay is emptied', async () => {
    const written = new Set<string>()
    chain.watch = (disk, kind) => void (kind === 'write' && written.add(disk))
    await commit({ empty: false })
    expect([...written]).toEqual(['middle'])
  })

  test.each([['shorter', 40 * CLUSTER + 512], ['longer', SIZE + 9 * CLUSTER]])('a base that is %s', async (_name, size) => {
    await chain.create('middle', size, { backing_file: 'memory:base', backing_fmt: 'qcow2' })
    await chain.write('middle', [39 * CLUSTER, 5, CLUSTER], [size - 512, 6, 512])
    const before = await chain.content('top')
    const tail = (await chain.content('middle')).subarray(SIZE)
    await commit()
    const after = await chain.content('middle')
    expect(after.length).toBe(Math.max(size, SIZE))
    assertSameBytes(after.subarray(0, SIZE), before)
    assertSameBytes(after.subarray(SIZE), tail)
    assertSameBytes(await chain.content('top'), before)
  })

  test('a layer in between that is shorter reads as zeroes there', async () => {
    await chain.create('base', SIZE + CLUSTER)
    await chain.write('base', [0, 1, SIZE + CLUSTER])
    await chain.create('middle', 10 * CLUSTER, { backing_file: 'memory:base', backing_fmt: 'qcow2' })
    const before = await chain.content('top')
    await commit({ base: 'memory:base' })
    assertSameBytes((await chain.content('base')).subarray(0, SIZE), before)
    assertSameBytes(await chain.content('top'), before)
  })

  test('into a raw base', async () => {
    await chain.create('plain', 40 * CLUSTER, {}, 'raw')
    await chain.create('top', SIZE, { backing_file: 'memory:plain', backing_fmt: 'raw' })
    await chain.write('top', [CLUSTER, 4, CLUSTER], [50 * CLUSTER, 5, 100])
    const before = await chain.content('top')
    await commit()
    assertSameBytes(await chain.content('plain', 'raw'), before)
  })

  test('a raw base whose format was guessed is not made to look like another one', async () => {
    await chain.create('plain', SIZE, {}, 'raw')
    await chain.create('top', SIZE, { backing_file: 'memory:plain' })
    const header = new Uint8Array(512)
    header.set([0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 3])
    const disk = await chain.open('top', { write: true })
    await disk.write(0, header)
    await disk.close()
    await expect(commit()).rejects.toMatchObject({ errno: 'EPERM', detail: { stage: 'copy' } })
    assertSameBytes(await chain.content('plain', 'raw'), new Uint8Array(SIZE))
  })

  test('refusals, after which the overlay is closed and as it was', async () => {
    const own = await clusters('top')
    await expect(commit({ base: 'memory:other' })).rejects.toMatchObject({ code: 'not-found', message: "Did not find 'memory:other' in the backing chain of 'memory:top'" })
    await expect(commit({ base: 'memory:base', empty: true })).rejects.toMatchObject({ code: 'invalid', detail: { option: 'empty' } })
    await expect(commitImage(await chain.open('base', { write: true }))).rejects.toMatchObject({ code: 'invalid', message: 'Image does not have a backing file' })
    const readOnly = await chain.open('top')
    await expect(commitImage(readOnly)).rejects.toMatchObject({ code: 'read-only' })
    await expect(readOnly.read(0, 1)).rejects.toMatchObject({ code: 'closed' })
    expect(await clusters('top')).toEqual(own)
  })

  test('progress counts data, from 0 to all of it', async () => {
    const seen: { readonly done: number; readonly total: number }[] = []
    await commit({ onProgress: (progress) => void seen.push(progress), rateLimit: 2 ** 40 })
    expect(seen[0]).toEqual({ done: 0, total: 2 * CLUSTER })
    expect(seen.at(-1)).toEqual({ done: 2 * CLUSTER, total: 2 * CLUSTER })
  })

  test('an abort in the middle: nothing shows in the overlay, and it can be done again', async () => {
    const before = await chain.content('top')
    const abort = new AbortController()
    chain.watch = (disk, kind, bytes) => {
      if (disk === 'base' && kind === 'write' && bytes >= CLUSTER) abort.abort(new Error('enough'))
    }
    await expect(commit({ base: 'memory:base', signal: abort.signal })).rejects.toThrow('enough')
    chain.watch = () => undefined
    assertSameBytes(await chain.content('top'), before)
    for (const name of ['top', 'middle', 'base']) await chain.assertUncorrupted(name)
    await commit({ base: 'memory:base' })
    assertSameBytes(await chain.content('base'), before)
  })

  test('an error at any request: the overlay reads the same, and it can be done again', async () => {
    const before = await chain.content('top')
    const restore = chain.snapshot()
    const stages = new Set<unknown>()
    for (const [disk, kind] of [['middle', 'write'], ['middle', 'read'], ['top', 'write'], ['top', 'read']] as const) {
      for (let after = 0, failed = true; failed; after++) {
        restore()
        failed = await failing({ disk, kind, after, errno: after % 2 === 0 ? 'EIO' : 'ENOSPC' }, stages)
        assertSameBytes(await chain.content('top'), before)
        for (const name of ['top', 'middle']) await chain.assertUncorrupted(name)
        await commit()
        assertSameBytes(await chain.content('middle'), before)
        assertSameBytes(await chain.content('top'), before)
      }
    }
    expect([...stages]).toEqual(expect.arrayContaining(['copy', 'empty']))
  })

  test('power fails at any point: the overlay reads the same, and it can be done again', async () => {
    const before = await chain.content('top')
    const restore = chain.snapshot()
    const losers = [() => true, () => false, (disk: string) => disk === 'middle', (disk: string) => disk === 'top']
    for (let after = 1, failed = true; failed; after++) {
      restore()
      chain.powerFor(after)
      await commit().catch(() => undefined)
      failed = chain.powerOn(losers[after % losers.length]!)
      assertSameBytes(await chain.content('top'), before)
      for (const name of ['top', 'middle']) await chain.assertUncorrupted(name)
      await commit()
      assertSameBytes(await chain.content('middle'), before)
    }
  })

  /** True if the fault was met. */
  const failing = async (fault: Fault, stages: Set<unknown>): Promise<boolean> => {
    chain.inject(fault)
    try {
      await commit()
      return false
    } catch (error) {
      if (!isBlockError(error)) throw error
      expect(error.errno).toBe(fault.errno)
      stages.add(error.detail['stage'])
      return true
    } finally {
      chain.inject(null)
    }
  }

  test('space that was preallocated and never written is no data', async () => {
    await withTempFolder(async (folder) => {
      const at = (name: string): string => `${folder}/${name}.qcow2`
      await createImage(at('base'), { format: 'qcow2', size: SIZE })
      await createImage(at('top'), { format: 'qcow2', size: SIZE, options: { backing_file: 'base.qcow2', backing_fmt: 'qcow2', extended_l2: 'on', cluster_size: CLUSTER } })
      await createImage(at('full'), { format: 'qcow2', size: SIZE, options: { preallocation: 'metadata', cluster_size: CLUSTER } })
      await using full = await openImage(at('full'), { format: 'qcow2', write: true })
      await full.write(3 * CLUSTER, new Uint8Array(CLUSTER).fill(7))
      await full.node.backingReference!.change!({ filename: 'base.qcow2', format: 'qcow2' })
      await full.close()
      let total = 0
      const overlay = await openImage(at('full'), { format: 'qcow2', write: true, implicit: 'allow' })
      await commitImage(overlay, { onProgress: (progress) => void (total = progress.total) })
      expect(total).toBeLessThan(4 * CLUSTER)
      await using base = await openImage(at('base'), { format: 'qcow2' })
      expect((await base.read(3 * CLUSTER, 1))[0]).toBe(7)
      expect((await base.node.extents(20 * CLUSTER, CLUSTER)).kind).not.toBe('data')
    })
  })
})
