import { BlockError } from '@blockloom/block-driver'
import { afterAll, describe, expect, it } from 'vitest'
import { createInMemory } from '../harness/create.ts'
import { MemoryChild, type ChildEvent } from '../harness/memory-child.ts'
import { openQcow2, readAll } from '../harness/open.ts'
import { Random } from '../harness/random.ts'
import { haveReference, Reference } from '../harness/reference.ts'
import { applyToModel, perform, pickOperations } from '../harness/workload.ts'

const KIB = 1024
const DIRTY = 79

const check = async (file: MemoryChild): Promise<object> => {
  const image = await openQcow2({ file, mode: { readOnly: true, forCheck: true } })
  const { corruptions, leaks, checkErrors } = await image.check!.check({ fix: 'none' })
  return { corruptions, leaks, checkErrors }
}

const CLEAN = { corruptions: 0, leaks: 0, checkErrors: 0 }

describe('an image with lazy refcounts', () => {
  it('is dirty from the first change that is flushed until it is closed', async () => {
    const file = await createInMemory({ size: '1M', lazy_refcounts: true })
    const image = await openQcow2({ file })
    expect(file.content[DIRTY]).toBe(0)
    await image.writer!.write(0, new Uint8Array(100 * KIB).fill(1), 0)
    expect(await image.info!()).toMatchObject({ 'dirty-flag': false })
    await image.writer!.flush('stable')
    expect(file.content[DIRTY]).toBe(1)
    expect(await image.info!()).toMatchObject({ 'dirty-flag': true })
    // A table and two clusters are on disk, but not in the refcounts.
    expect(await check(new MemoryChild({ content: file.content }))).toMatchObject({ corruptions: 6 })
    await image.close()
    expect(file.content[DIRTY]).toBe(0)
    expect(await check(file)).toEqual(CLEAN)
  })

  it('is dirty, too, when clusters are freed: their refcounts come later', async () => {
    const file = await createInMemory({ size: '1M', lazy_refcounts: true, cluster_size: 4096, preallocation: 'metadata' })
    const image = await openQcow2({ file })
    await image.discard!(64 * KIB, 128 * KIB)
    await image.writer!.flush('stable')
    expect(file.content[DIRTY]).toBe(1)
    const killed = new MemoryChild({ content: file.content })
    expect(await check(killed)).toMatchObject({ corruptions: 0, leaks: 32 })
    await (await openQcow2({ file: killed })).close()
    expect(await check(killed)).toEqual(CLEAN)
    await image.close()
    expect(await check(file)).toEqual(CLEAN)
  })

  it('stays clean if nothing is allocated', async () => {
    const file = await createInMemory({ size: '1M', lazy_refcounts: true, preallocation: 'metadata' })
    expect(file.content[DIRTY]).toBe(0)
    const image = await openQcow2({ file })
    await image.writer!.write(0, new Uint8Array(100 * KIB).fill(1), 0)
    await image.writer!.flush('stable')
    expect(file.content[DIRTY]).toBe(0)
    await image.close()
  })

  it('the option says so for an image that does not, and the other way round', async () => {
    const eager = await createInMemory({ size: '1M' })
    const one = await openQcow2({ file: eager, options: { 'lazy-refcounts': true } })
    await one.writer!.write(0, new Uint8Array(KIB), 0)
    await one.writer!.flush('stable')
    expect(eager.content[DIRTY]).toBe(1)
    await one.close()
    expect(eager.content[DIRTY]).toBe(0)
    const lazy = await createInMemory({ size: '1M', lazy_refcounts: true })
    const other = await openQcow2({ file: lazy, options: { 'lazy-refcounts': false } })
    await other.writer!.write(0, new Uint8Array(KIB), 0)
    await other.writer!.flush('stable')
    expect(lazy.content[DIRTY]).toBe(0)
    await other.close()
  })

  it('version 2 has none', async () => {
    const file = await createInMemory({ size: '1M', compat: '0.10' })
    const message = 'Lazy refcounts require a qcow2 image with at least qemu 1.1 compatibility level'
    await expect(openQcow2({ file, options: { 'lazy-refcounts': true } })).rejects.toMatchObject({ code: 'invalid', message, detail: { option: 'lazy-refcounts' } })
    await openQcow2({ file, options: { 'lazy-refcounts': false } })
  })

  it('is checked, and snapshots are taken, while it is dirty', async () => {
    const file = await createInMemory({ size: '1M', lazy_refcounts: true, cluster_size: '4k' })
    const image = await openQcow2({ file })
    await image.writer!.write(0, new Uint8Array(100 * KIB).fill(1), 0)
    await image.writer!.flush('stable')
    expect(await image.check!.check({ fix: 'none' })).toMatchObject(CLEAN)
    await image.snapshots!.create!({ name: 'one' })
    await image.writer!.write(0, new Uint8Array(50 * KIB).fill(2), 0)
    await image.writer!.flush('stable')
    await image.snapshots!.revert!('one')
    expect((await readAll(image))[0]).toBe(1)
    await image.close()
    expect(file.content[DIRTY]).toBe(0)
    expect(await check(file)).toEqual(CLEAN)
  })

  it('a repair of the open image makes it clean, and later changes work', async () => {
    const file = await createInMemory({ size: '1M', lazy_refcounts: true, cluster_size: '4k' })
    const image = await openQcow2({ file })
    await image.writer!.write(0, new Uint8Array(100 * KIB).fill(1), 0)
    await image.writer!.flush('stable')
    expect(await image.check!.check({ fix: 'errors' })).toMatchObject({ ...CLEAN, corruptionsFixed: 0 })
    expect(file.content[DIRTY]).toBe(0)
    await image.writer!.write(200 * KIB, new Uint8Array(100 * KIB).fill(2), 0)
    await image.writer!.flush('stable')
    expect(file.content[DIRTY]).toBe(1)
    await image.close()
    expect(await check(file)).toEqual(CLEAN)
  })

  it('after a crash has what was flushed, and is repaired when it is opened', { timeout: 60_000 }, async () => {
    const SIZE = 512 * KIB
    for (let seed = 1; seed <= 12; seed++) {
      const random = new Random(seed)
      const file = await createInMemory({ size: SIZE, lazy_refcounts: true, cluster_size: random.pick(['512', '4k']), ...(seed % 3 === 0 ? { refcount_bits: 1 } : {}) })
      const base = file.content.slice()
      file.recording = true
      const image = await openQcow2({ file, options: seed % 2 === 0 ? { 'l2-cache-size': 0, 'refcount-cache-size': 0, 'l2-cache-entry-size': 512 } : {} })
      const limits = { zero: image.limits.zeroAlignment, discard: image.limits.discardAlignment, cluster: image.limits.clusterSize, compress: true, discards: true }
      let model: Uint8Array = new Uint8Array(SIZE)
      const flushed: { readonly at: number; readonly model: Uint8Array }[] = [{ at: 0, model }]
      for (let round = 0; round < 8; round++) {
        for (const operation of pickOperations(random, SIZE, limits, 6, round * 10)) {
          await perform(image, operation)
          model = model.slice()
          applyToModel(model, operation)
        }
        await image.writer!.flush('stable')
        model = await readAll(image)
        flushed.push({ at: file.events.length, model })
      }
      const events = file.events.slice()
      for (const { at, model: wanted } of flushed) {
        const where = `seed ${seed}, cut at ${at} of ${events.length}`
        const disk = await upTo(base, events, at)
        const again = await openQcow2({ file: disk })
        expect(disk.content[DIRTY], where).toBe(0)
        expect(Buffer.compare(await readAll(again), wanted), where).toBe(0)
        await again.writer!.write(0, new Uint8Array(64 * KIB).fill(7), 0)
        await again.close()
        expect(await check(disk), where).toEqual(CLEAN)
      }
      // Between flushes too it can be opened, repaired and used.
      for (let point = 0; point < 10; point++) {
        const at = random.below(events.length)
        const disk = await upTo(base, events, at)
        const again = await openQcow2({ file: disk })
        expect(await again.check!.check({ fix: 'none' }), `seed ${seed}, cut at ${at}`).toMatchObject(CLEAN)
        await again.close()
      }
      await image.close()
    }
  })
})

/** A disk that has the first `count` events. */
async function upTo(base: Uint8Array, events: readonly ChildEvent[], count: number): Promise<MemoryChild> {
  const disk = new MemoryChild({ content: base })
  for (const event of events.slice(0, count)) {
    if (event.op === 'write') await disk.write(event.offset, event.bytes)
    else if (event.op === 'zero') await disk.zero(event.offset, event.length)
    else if (event.op === 'discard') await disk.discard(event.offset, event.length)
    else if (event.op === 'resize') await disk.resize(event.size)
  }
  return disk
}

describe.skipIf(!haveReference)('a dirty image of the reference', () => {
  const tools = haveReference ? new Reference() : null
  afterAll(() => tools?.[Symbol.dispose]())

  /** As a crash leaves it: the tables are there, the refcounts are not. */
  function crashed(name: string): MemoryChild {
    tools!.create(name, '4M', 'lazy_refcounts=on')
    try {
      tools!.io(name, 'write -P 5 0 256k', 'write -P 6 1M 100k', 'flush', 'abort')
    } catch {
      // That is what it was asked for.
    }
    return tools!.load(name)
  }

  it('is repaired when it is opened for writing', async () => {
    const file = crashed('a.qcow2')
    expect(file.content[DIRTY]).toBe(1)
    const warnings: string[] = []
    const image = await openQcow2({ file, warnings })
    expect(warnings).toEqual(['The image was not closed properly: 6 corruptions and 0 leaked clusters were repaired'])
    expect(file.content[DIRTY]).toBe(0)
    await image.writer!.write(2048 * KIB, new Uint8Array(64 * KIB).fill(9), 0)
    const bytes = await readAll(image)
    expect([bytes[0], bytes[1024 * KIB], bytes[2048 * KIB]]).toEqual([5, 6, 9])
    await image.close()
    tools!.save('a.qcow2', file)
    tools!.check('a.qcow2')
  })

  it('is left as it is when it is only read', async () => {
    const file = crashed('b.qcow2')
    const before = file.content.slice()
    const image = await openQcow2({ file, mode: { readOnly: true } })
    expect((await readAll(image))[0]).toBe(5)
    await image.close()
    expect(Buffer.compare(file.content, before)).toBe(0)
  })

  it('is not opened for writing if it cannot be repaired', async () => {
    const file = crashed('c.qcow2')
    file.before = (op, offset) => {
      if (op === 'write' && offset > 0) throw new BlockError('no-space', 'No space left on device')
    }
    await expect(openQcow2({ file })).rejects.toMatchObject({ code: 'io', message: 'Could not repair dirty image', cause: { code: 'no-space' } })
    expect(file.content[DIRTY]).toBe(1)
  })

  it('what we leave behind after a crash, the reference repairs', async () => {
    const file = await createInMemory({ size: '1M', lazy_refcounts: true })
    const image = await openQcow2({ file })
    await image.writer!.write(0, new Uint8Array(100 * KIB).fill(1), 0)
    await image.writer!.flush('stable')
    tools!.save('d.qcow2', file)
    tools!.io('d.qcow2', 'read -P 1 0 100k', 'write -P 2 200k 10k')
    tools!.check('d.qcow2')
    await image.close()
  })
})
