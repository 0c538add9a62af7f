import { isBlockError } from '@blockloom/block-driver'
import { withTempFolder } from '@blockloom/oracle'
import { createImage, openImage, rebaseImage, type RebaseOptions } from 'blockloom'
import { beforeEach, describe, expect, test } from 'vitest'
import { assertSameBytes } from '../differential/compare.ts'
import { MemoryChain, type Fault } from './memory-chain.ts'

const KIB = 1024
/** A small one: whole disks are compared often. */
const CLUSTER = 16 * KIB
const SIZE = 64 * CLUSTER

describe('rebaseImage', () => {
  let chain: MemoryChain
  const NEW = { filename: 'memory:new', format: 'qcow2' }

  beforeEach(async () => {
    chain = new MemoryChain({ cluster_size: CLUSTER })
    await chain.create('base', SIZE)
    await chain.write('base', [0, 1, 20 * CLUSTER], [30 * CLUSTER, 2, 10 * CLUSTER])
    await chain.create('new', SIZE)
    // The same but for: another byte in cluster 3, clusters 10 to 12 missing, data where the old one has none.
    await chain.write('new', [0, 1, 10 * CLUSTER], [13 * CLUSTER, 1, 7 * CLUSTER], [30 * CLUSTER, 2, 10 * CLUSTER], [3 * CLUSTER + 100, 9, 1], [50 * CLUSTER, 9, 2 * CLUSTER])
    await chain.create('top', SIZE, { backing_file: 'memory:base', backing_fmt: 'qcow2' })
    await chain.write('top', [5 * CLUSTER, 7, CLUSTER], [31 * CLUSTER, 0, CLUSTER])
  })

  const rebase = async (options: Partial<RebaseOptions> = {}): Promise<void> => {
    const disk = await chain.open('top', { write: true, ...(options.unsafe ? { noBacking: true } : {}) })
    try {
      await rebaseImage(disk, { backing: NEW, ...options })
    } catch (error) {
      // What failed once fails again.
      await disk.close().catch(() => undefined)
      throw error
    }
    await disk.close()
  }

  const named = async (): Promise<string | undefined> => {
    await using disk = await chain.open('top', { noBacking: true })
    return disk.node.backingReference?.named?.filename
  }

  /** Clusters that the overlay has, and how. */
  const clusters = async (): Promise<Record<number, string>> => {
    await using disk = await chain.open('top', { noBacking: true })
    const found: Record<number, string> = {}
    for (let i = 0; i * CLUSTER < disk.size; i++) {
      const extent = await disk.node.extents(i * CLUSTER, Math.min(CLUSTER, disk.size - i * CLUSTER))
      if (extent.kind !== 'absent') found[i] = extent.kind
    }
    return found
  }

  test('stores what differs, zeroes as zeroes, and nothing else', async () => {
    const before = await chain.content('top')
    await rebase()
    expect(await named()).toBe('memory:new')
    assertSameBytes(await chain.content('top'), before)
    expect(await clusters()).toEqual({ 3: 'data', 5: 'data', 10: 'data', 11: 'data', 12: 'data', 31: 'zero', 50: 'zero', 51: 'zero' })
    await chain.assertUncorrupted('top')
  })

  test('compressed: what is copied, not what was there', async () => {
    const before = await chain.content('top')
    await rebase({ compress: true })
    assertSameBytes(await chain.content('top'), before)
    expect(await clusters()).toEqual({ 3: 'encoded', 5: 'data', 10: 'encoded', 11: 'encoded', 12: 'encoded', 31: 'zero', 50: 'zero', 51: 'zero' })
  })

  test('compressed: a cluster of which the overlay has a part is stored as it is', async () => {
    await chain.create('top', SIZE - 512, { backing_file: 'memory:base', backing_fmt: 'qcow2', extended_l2: 'on' })
    await chain.write('top', [10 * CLUSTER, 7, 512])
    const before = await chain.content('top')
    await rebase({ compress: true })
    assertSameBytes(await chain.content('top'), before)
    await chain.assertUncorrupted('top')
    expect(await clusters()).toMatchObject({ 10: 'data', 11: 'encoded' })
  })

  test('to none', async () => {
    const before = await chain.content('top')
    await rebase({ backing: null })
    expect(await named()).toBeUndefined()
    chain.disks.delete('base')
    assertSameBytes(await chain.content('top'), before)
    expect(Object.keys(await clusters()).length).toBe(30)
  })

  test('from none', async () => {
    await chain.create('top', SIZE)
    await chain.write('top', [0, 3, CLUSTER])
    const before = await chain.content('top')
    await rebase()
    assertSameBytes(await chain.content('top'), before)
    expect(await clusters()).toMatchObject({ 0: 'data', 1: 'zero', 50: 'zero' })
  })

  test('from none, in version 2, which has no entries that say zero: they are stored', async () => {
    await chain.create('top', SIZE, { compat: '0.10' })
    await chain.write('top', [0, 3, CLUSTER])
    const before = await chain.content('top')
    await rebase()
    assertSameBytes(await chain.content('top'), before)
    expect(await clusters()).toMatchObject({ 0: 'data', 1: 'data', 50: 'data' })
    await chain.assertUncorrupted('top')
  })

  test('unsafe: the name and nothing else; neither backing file has to be there', async () => {
    chain.disks.delete('base')
    await rebase({ unsafe: true, backing: { filename: 'memory:elsewhere', format: 'raw' } })
    expect(await named()).toBe('memory:elsewhere')
    expect(await clusters()).toEqual({ 5: 'data', 31: 'zero' })
  })

  test.each([
    ['a shorter new one', SIZE, 12 * CLUSTER + 512],
    ['a longer new one', SIZE, 100 * CLUSTER],
    ['a longer overlay', SIZE + 5 * CLUSTER + 512, SIZE],
    ['a longer overlay on a longer new one', SIZE + 5 * CLUSTER + 512, 100 * CLUSTER],
    ['a shorter overlay', 12 * CLUSTER + 512, 100 * CLUSTER],
  ])('sizes: %s', async (_name, overlay, size) => {
    await chain.create('top', overlay, { backing_file: 'memory:base', backing_fmt: 'qcow2' })
    await chain.create('new', size)
    await chain.write('new', [0, 9, size])
    const before = await chain.content('top')
    await rebase()
    assertSameBytes(await chain.content('top'), before)
    await chain.assertUncorrupted('top')
  })

  test('a backing file without format is refused before anything is copied, and so is an image that cannot have one', async () => {
    await expect(rebase({ backing: { filename: 'memory:new' } })).rejects.toMatchObject({ code: 'invalid', message: "Could not change the backing file to 'memory:new': backing format must be specified" })
    expect(await clusters()).toEqual({ 5: 'data', 31: 'zero' })
    await chain.create('plain', SIZE, {}, 'raw')
    await using plain = await chain.open('plain', { format: 'raw', write: true })
    await expect(rebaseImage(plain, { backing: NEW })).rejects.toMatchObject({ code: 'unsupported', detail: { stage: 'header' } })
  })

  test('a new backing file that is not there', async () => {
    await expect(rebase({ backing: { filename: 'memory:nothing', format: 'qcow2' } })).rejects.toMatchObject({ code: 'not-found', detail: { stage: 'open' } })
    expect(await named()).toBe('memory:base')
  })

  test('progress goes from 0 to the size of the disk', async () => {
    const seen: number[] = []
    await rebase({ onProgress: ({ done, total }) => void seen.push(done / total) })
    expect(seen[0]).toBe(0)
    expect(seen.at(-1)).toBe(1)
    expect(seen).toEqual(seen.toSorted((a, b) => a - b))
  })

  test('an abort in the middle: the old name, the same content, and it can be done again', async () => {
    const before = await chain.content('top')
    const abort = new AbortController()
    let writes = 0
    chain.watch = (disk, kind, bytes) => {
      if (disk === 'top' && kind === 'write' && bytes >= CLUSTER && ++writes === 1) abort.abort(new Error('enough'))
    }
    await expect(rebase({ backing: null, signal: abort.signal })).rejects.toThrow('enough')
    expect(await named()).toBe('memory:base')
    assertSameBytes(await chain.content('top'), before)
    await chain.assertUncorrupted('top')
    await rebase({ backing: null })
    assertSameBytes(await chain.content('top'), before)
  })

  test('an error at any request: the old name, or the new one, and the same content', async () => {
    const before = await chain.content('top')
    const restore = chain.snapshot()
    const stages = new Set<unknown>()
    for (const [disk, kind] of [['top', 'write'], ['base', 'read'], ['new', 'read']] as const) {
      for (let after = 0, failed = true; failed; after++) {
        restore()
        failed = await failing({ disk, kind, after, errno: after % 2 === 0 ? 'EIO' : 'ENOSPC' }, stages)
          assertSameBytes(await chain.content('top'), before)
        await chain.assertUncorrupted('top')
        if (!failed) expect(await named()).toBe('memory:new')
      }
    }
    expect([...stages]).toEqual(expect.arrayContaining(['overlay', 'old', 'new', 'header']))
  })

  test('power fails at any point: the old name or the new one, and the same content', async () => {
    const before = await chain.content('top')
    const restore = chain.snapshot()
    for (let after = 1, failed = true; failed; after++) {
      restore()
      chain.powerFor(after)
      await rebase().catch(() => undefined)
      failed = chain.powerOn(() => after % 2 === 0)
      assertSameBytes(await chain.content('top'), before)
      await chain.assertUncorrupted('top')
      if (!failed) expect(await named()).toBe('memory:new')
    }
  })

  /** True if the fault was met; afterwards everything works. */
  const failing = async (fault: Fault, stages: Set<unknown>): Promise<boolean> => {
    chain.inject(fault)
    try {
      await rebase()
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

  test.each([1, 3, 5, 15])('a layer that ends, or has zeroes, inside a cluster of the overlay, %i KiB into it; onto the layer below', async (kib) => {
    await withTempFolder(async (folder) => {
      const at = (name: string): string => `${folder}/${name}.qcow2`
      const make = async (name: string, size: number, options: Record<string, unknown>, byte: number, offset: number, bytes: number): Promise<void> => {
        await createImage(at(name), { format: 'qcow2', size, options: { cluster_size: CLUSTER, ...options } })
        await using disk = await openImage(at(name), { format: 'qcow2', write: true, implicit: 'allow' })
        if (byte === 0) await disk.zero(offset, bytes)
        else await disk.write(offset, new Uint8Array(bytes).fill(byte))
      }
      await make('base', SIZE, {}, 1, 0, 20 * CLUSTER)
      await make('middle', 12 * CLUSTER + kib * KIB, { cluster_size: 512, backing_file: 'base.qcow2', backing_fmt: 'qcow2' }, 0, 3 * CLUSTER + kib * KIB, CLUSTER)
      await make('top', SIZE, { backing_file: 'middle.qcow2', backing_fmt: 'qcow2' }, 7, 5 * CLUSTER, CLUSTER)
      await using disk = await openImage(at('top'), { format: 'qcow2', write: true, implicit: 'allow' })
      const before = await disk.read(0, SIZE)
      await rebaseImage(disk, { backing: { filename: 'base.qcow2', format: 'qcow2' } })
      await disk.close()
      await using after = await openImage(at('top'), { format: 'qcow2', implicit: 'allow' })
      assertSameBytes(await after.read(0, SIZE), before)
      expect(await after.node.extents(13 * CLUSTER, CLUSTER)).toMatchObject({ kind: 'zero' })
    })
  })

  test('what both chains have in common is not read', async () => {
    await withTempFolder(async (folder) => {
      const at = (name: string): string => `${folder}/${name}.qcow2`
      const make = async (name: string, backing: string | null, byte: number, offset: number): Promise<void> => {
        await createImage(at(name), { format: 'qcow2', size: SIZE, options: backing === null ? { cluster_size: CLUSTER } : { cluster_size: CLUSTER, backing_file: `${backing}.qcow2`, backing_fmt: 'qcow2' } })
        await using disk = await openImage(at(name), { format: 'qcow2', write: true, implicit: 'allow' })
        await disk.write(offset, new Uint8Array(CLUSTER).fill(byte))
      }
      await make('base', null, 1, 0)
      await make('middle', 'base', 2, CLUSTER)
      await make('sibling', 'base', 3, 2 * CLUSTER)
      await make('top', 'middle', 4, 3 * CLUSTER)
      await using disk = await openImage(at('top'), { format: 'qcow2', write: true, implicit: 'allow' })
      const before = await disk.read(0, SIZE)
      const reads: number[] = []
      const base = disk.node.backing!.backing!
      const original = base.read.bind(base)
      base.read = async (offset, into) => {
        reads.push(offset)
        await original(offset, into)
      }
      await rebaseImage(disk, { backing: { filename: 'sibling.qcow2', format: 'qcow2' } })
      expect(reads).toEqual([])
      await disk.close()
      await using after = await openImage(at('top'), { format: 'qcow2', implicit: 'allow' })
      assertSameBytes(await after.read(0, SIZE), before)
      const own = await Promise.all([0, 1, 2, 3].map((i) => after.node.extents(i * CLUSTER, CLUSTER)))
      expect(own.map(({ kind }) => kind)).toEqual(['absent', 'data', 'zero', 'data'])
    })
  })
})
