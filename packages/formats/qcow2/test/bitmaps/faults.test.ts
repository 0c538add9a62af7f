import { BlockError, type Instance } from '@blockloom/block-driver'
import { describe, expect, it } from 'vitest'
import { decodeHeaderArea } from '../../src/on-disk/header-area.ts'
import { createInMemory } from '../harness/create.ts'
import { MemoryChild } from '../harness/memory-child.ts'
import { openQcow2 } from '../harness/open.ts'
import { contentOf, loadBits } from './bits.ts'

const SIZE = 256 * 1024
const OLD = new Uint8Array(64).fill(0x5a)
const NEW = new Uint8Array(64).map((_, i) => i)

async function assertSound(file: MemoryChild, where: string): Promise<void> {
  const image = await openQcow2({ file, mode: { readOnly: true, forCheck: true } })
  const { corruptions, checkErrors } = await image.check!.check({ fix: 'none' })
  expect({ corruptions, checkErrors }, where).toEqual({ corruptions: 0, checkErrors: 0 })
  await image.close()
}

describe('when a request fails', () => {
  const operations: Readonly<Record<string, (image: Instance) => Promise<unknown>>> = {
    store: (image) => image.bitmaps!.store!([contentOf('one', 512, NEW), contentOf('three', 512, NEW), contentOf('all', 512, new Uint8Array(64).fill(0xff))]),
    remove: (image) => image.bitmaps!.remove!('one'),
    'remove the last': (image) => image.bitmaps!.remove!('two').then(() => image.bitmaps!.remove!('one')),
    load: (image) => loadBits(image, 'one'),
  }
  for (const clusterSize of [512, 4096]) {
    for (const [what, operation] of Object.entries(operations)) {
      it(`${what}: the bitmaps are the old or the new ones, and it works later; clusters of ${clusterSize} bytes`, { timeout: 30_000 }, async () => {
        const made = await createInMemory({ size: SIZE, cluster_size: clusterSize })
        const first = await openQcow2({ file: made })
        await first.bitmaps!.store!([contentOf('one', 512, OLD), contentOf('two', 512, OLD)])
        await first.close()
        const base = made.content
        let failures = 0
        let total = Infinity
        for (let fault = 0; fault < total; fault++) {
          const where = `${what}, request ${fault}`
          const file = new MemoryChild({ content: base })
          const image = await openQcow2({ file })
          let count = 0
          file.before = (op) => {
            if (count++ === fault) throw new BlockError('io', `${op} failed`)
          }
          const outcome = await operation(image).then(() => 'done', String)
          file.before = undefined
          if (count <= fault) total = fault
          if (outcome !== 'done') {
            failures++
            expect(outcome, where).toContain('failed')
            const names = image.bitmaps!.list().map(({ name }) => name)
            if (what !== 'remove the last') expect(names, where).toEqual(['one', 'two'])
            expect(await loadBits(image, 'one'), where).toEqual(OLD)
            const seen = await openQcow2({ file, mode: { readOnly: true } })
            expect(seen.bitmaps!.list(), where).toEqual(image.bitmaps!.list())
            expect(await loadBits(seen, 'one'), where).toEqual(OLD)
            await image.writer!.write(0, new Uint8Array(3000).fill(1), 0)
            if (what === 'remove the last') await image.bitmaps!.remove!('two').catch(() => {})
            await (what === 'remove the last' ? image.bitmaps!.remove!('one') : operation(image))
          }
          await image.close()
          await assertSound(file, where)
          const later = await openQcow2({ file })
          const names = later.bitmaps!.list().map(({ name }) => name)
          expect(names, where).toEqual({ store: ['one', 'two', 'three', 'all'], remove: ['two'], 'remove the last': [], load: ['one', 'two'] }[what])
          if (what === 'store') {
            expect(await loadBits(later, 'one'), where).toEqual(NEW)
            expect(await loadBits(later, 'all'), where).toEqual(new Uint8Array(64).fill(0xff))
          }
          await later.close()
        }
        expect(failures).toBeGreaterThan(1)
      })
    }
  }

  it('the guest\'s disk does not change before the bitmaps are marked', async () => {
    const made = await createInMemory({ size: SIZE, cluster_size: 4096 })
    const first = await openQcow2({ file: made })
    await first.writer!.write(0, new Uint8Array(SIZE).fill(7), 0)
    await first.bitmaps!.store!([contentOf('one', 512, OLD), contentOf('two', 512, OLD)])
    await first.close()
    const directory = decodeHeaderArea(made.content).extensions.bitmaps!.directoryOffset
    let total = Infinity
    for (let fault = 0; fault < total; fault++) {
      const file = new MemoryChild({ content: made.content })
      const image = await openQcow2({ file })
      let count = 0
      let isAboutMarks = true
      file.before = (op, offset) => {
        if (op === 'write' && offset !== directory) isAboutMarks = false
        if (count++ === fault) throw new BlockError('io', `${op} failed`)
      }
      const outcome = await image.writer!.write(4096, new Uint8Array(4096).fill(8), 0).then(() => 'done', String)
      file.before = undefined
      if (count <= fault) total = fault
      const seen = await openQcow2({ file, mode: { readOnly: true } })
      const byte = new Uint8Array(1)
      await seen.read(5000, byte, 0)
      const marked = seen.bitmaps!.list().every(({ inconsistent }) => inconsistent)
      expect({ outcome, marked, byte: byte[0] }, `request ${fault}`).toEqual(
        outcome === 'done' ? { outcome, marked: true, byte: 8 } : { outcome: expect.stringContaining('failed'), marked: expect.anything(), byte: 7 },
      )
      // What was marked in vain is taken back.
      if (outcome !== 'done' && isAboutMarks && !outcome.includes('read')) expect(seen.bitmaps!.list().map(({ inconsistent }) => inconsistent), outcome).toEqual([false, false])
      await image.writer!.write(4096, new Uint8Array(4096).fill(9), 0)
      await image.close()
      await assertSound(file, `request ${fault}`)
      expect((await openQcow2({ file })).bitmaps!.list().every(({ inconsistent }) => inconsistent)).toBe(true)
    }
    expect(total).toBeGreaterThan(2)
  })

  it('nothing is changed any more if it is not known what the header says', async () => {
    const file = await createInMemory({ size: SIZE, cluster_size: 4096 })
    const image = await openQcow2({ file })
    await image.bitmaps!.store!([contentOf('one', 512, OLD)])
    file.before = (op, offset) => {
      if (op === 'write' && offset < 512) throw new BlockError('io', 'header failed')
    }
    await expect(image.bitmaps!.store!([contentOf('one', 512, NEW)])).rejects.toThrow('header failed')
    file.before = undefined
    await expect(image.writer!.write(0, new Uint8Array(512), 0)).rejects.toThrow('must be closed')
    await image.close()
    await assertSound(file, 'at the end')
  })
})
