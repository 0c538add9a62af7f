import type { ResizeOptions } from '@blockloom/block-driver'
import { afterAll, describe, expect, it } from 'vitest'
import { findCorruptions } from './harness/consistency.ts'
import { MemoryChild } from './harness/memory-child.ts'
import { openQcow2, readAll } from './harness/open.ts'
import { haveReference, Reference } from './harness/reference.ts'

const PLAIN: Required<ResizeOptions> = { preallocation: 'off', zeroFill: true }
const MIB = 1024 * 1024

describe.runIf(haveReference)('resizing', () => {
  const tools = new Reference()
  afterAll(() => tools[Symbol.dispose]())

  for (const options of ['cluster_size=512', 'cluster_size=4k', '', 'extended_l2=on,cluster_size=16k', 'compat=0.10']) {
    it(`grows far beyond the L1 table and shrinks again (${options || 'defaults'})`, async () => {
      const name = `resize-${options.replaceAll(/\W/g, '-')}.qcow2`
      tools.create(name, '1M', options)
      const file = tools.load(name)
      const image = await openQcow2({ file })
      await image.writer!.write(0, new Uint8Array(MIB).fill(1), 0)
      await image.resize!.resize(300 * MIB, PLAIN)
      expect(await image.size()).toBe(300 * MIB)
      await image.writer!.write(299 * MIB + 5, new Uint8Array(100_000).fill(2), 0)
      await image.writer!.write(150 * MIB, new Uint8Array(100_000).fill(3), 0)
      await image.resize!.resize(200 * MIB + 512, PLAIN)
      await image.resize!.resize(300 * MIB, PLAIN)
      await image.writer!.flush('stable')
      await image.close()
      tools.save(name, file)
      tools.check(name)
      const raw = tools.raw(name)
      expect(raw.length).toBe(300 * MIB)
      const model = new Uint8Array(300 * MIB).fill(1, 0, MIB).fill(3, 150 * MIB, 150 * MIB + 100_000)
      expect(Buffer.compare(raw, model)).toBe(0)
    })
  }

  it('hides what a longer backing file has behind the old end', async () => {
    for (const options of ['', 'compat=0.10']) {
      const backing = new MemoryChild({ content: new Uint8Array(4 * MIB).fill(7) })
      const name = `hide-${options.length}.qcow2`
      tools.create(`${name}.base`, '4M')
      tools.io(`${name}.base`, 'write -P 7 0 4M')
      tools.create(name, String(MIB + 512), options, ['-b', `${name}.base`, '-F', 'qcow2'])
      const file = tools.load(name)
      const image = await openQcow2({ file, backing })
      await image.resize!.resize(6 * MIB, PLAIN)
      const all = await readAll(image)
      expect(Buffer.compare(all, new Uint8Array(6 * MIB).fill(7, 0, MIB + 512))).toBe(0)
      await image.close()
      tools.save(name, file)
      tools.check(name)
      expect(Buffer.compare(tools.raw(name), all)).toBe(0)
    }
  })

  for (const preallocation of ['metadata', 'falloc', 'full'] as const) {
    it(`preallocates: ${preallocation}`, async () => {
      const name = `prealloc-${preallocation}.qcow2`
      tools.create(name, '1M', 'cluster_size=16k')
      const file = tools.load(name)
      const image = await openQcow2({ file })
      await image.writer!.write(100_000, new Uint8Array(1000).fill(9), 0)
      await image.resize!.resize(8 * MIB, { preallocation, zeroFill: true })
      expect(await image.extents!(MIB, 7 * MIB)).toMatchObject({ kind: 'data', bytes: 7 * MIB })
      await image.writer!.flush('stable')
      await image.close()
      tools.save(name, file)
      tools.check(name)
      expect(Buffer.compare(tools.raw(name), new Uint8Array(8 * MIB).fill(9, 100_000, 101_000))).toBe(0)
    })
  }

  it('hides it by whole subclusters: only the rest of one is stored', async () => {
    const subcluster = 4096
    tools.create('subclusters.qcow2', `${MIB + subcluster + 512}`, 'extended_l2=on,cluster_size=128k')
    const file = tools.load('subclusters.qcow2')
    const image = await openQcow2({ file, backing: new MemoryChild({ content: new Uint8Array(4 * MIB).fill(7) }) })
    await image.resize!.resize(2 * MIB, PLAIN)
    const kinds = await Promise.all([1, 2, 31].map(async (i) => (await image.extents!(MIB + i * subcluster, subcluster)).kind))
    expect(kinds).toEqual(['data', 'zero', 'zero'])
    const seen = await readAll(image)
    expect(Buffer.compare(seen, new Uint8Array(2 * MIB).fill(7, 0, MIB + subcluster + 512))).toBe(0)
    await image.close()
  })

  it('leaves a valid image wherever it is interrupted', async () => {
    tools.create('interrupted.qcow2', '64k', 'cluster_size=512')
    const base = tools.load('interrupted.qcow2').content
    for (let limit = 0; ; limit++) {
      let left = limit
      const file = new MemoryChild({
        content: base,
        before: (op) => {
          if (op !== 'read' && left-- <= 0) throw new Error('power is off')
        },
      })
      const image = await openQcow2({ file })
      let isDone = true
      try {
        await image.writer!.write(1000, new Uint8Array(3000).fill(1), 0)
        await image.resize!.resize(40 * MIB, PLAIN)
        await image.writer!.write(39 * MIB, new Uint8Array(3000).fill(2), 0)
        await image.resize!.resize(32 * 1024, PLAIN)
        await image.writer!.flush('stable')
      } catch {
        isDone = false
      }
      expect(findCorruptions(file.content), `after ${limit} requests`).toEqual([])
      if (isDone) break
    }
  })

  it('refuses what cannot be', async () => {
    tools.create('odd.qcow2', '1M')
    const image = await openQcow2({ file: tools.load('odd.qcow2') })
    await expect(image.resize!.resize(MIB + 1, PLAIN)).rejects.toMatchObject({ code: 'invalid', message: 'The new size must be a multiple of 512' })
    await expect(image.resize!.resize(2 ** 53 - 65536, PLAIN)).rejects.toMatchObject({ errno: 'EFBIG' })
    await image.writer!.write(0, new Uint8Array(512), 0)
  })
})
