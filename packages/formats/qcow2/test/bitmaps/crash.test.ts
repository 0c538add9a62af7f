import type { Instance } from '@blockloom/block-driver'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { afterAll, describe, expect, it } from 'vitest'
import { createInMemory } from '../harness/create.ts'
import { openQcow2, readAll } from '../harness/open.ts'
import { Random } from '../harness/random.ts'
import { haveReference, Reference } from '../harness/reference.ts'
import { applyToModel, perform, pickOperations } from '../harness/workload.ts'
import { contentOf, loadBits, randomBits } from './bits.ts'
import { PowerLoss } from './power-loss.ts'

const SIZE = 128 * 1024
/** Power failures at each moment of the recording, and how many of all the reference looks at. */
const TRIALS = Number(process.env['CRASH_TRIALS'] ?? 2)
const REFERENCE_TRIALS = 12

interface Bitmap {
  readonly granularity: number
  /** Null: not to be trusted. */
  readonly bits: Uint8Array | null
}
type Bitmaps = ReadonlyMap<string, Bitmap>

/** What was done, in which events, and what was there before and after. */
interface Step {
  readonly what: string
  readonly from: number
  readonly to: number
  readonly changesDisk: boolean
  readonly content: Uint8Array
  readonly before: Bitmaps
  readonly after: Bitmaps
}

const untrusted = (bitmaps: Bitmaps): Bitmaps => new Map([...bitmaps].map(([name, { granularity }]) => [name, { granularity, bits: null }]))

const describeAll = (bitmaps: Bitmaps): string => [...bitmaps].map(([name, { granularity, bits }]) => `${name}/${granularity}: ${bits === null ? '?' : Buffer.from(bits).toString('hex')}`).join('\n')

async function bitmapsOf(image: Instance): Promise<Bitmaps> {
  const found = new Map<string, Bitmap>()
  for (const { name, granularity, inconsistent } of image.bitmaps!.list()) found.set(name, { granularity, bits: inconsistent ? null : await loadBits(image, name) })
  return found
}

/** Why a crash during a step may not leave these bitmaps and this content; null if it may. */
function wrong(step: Step, bitmaps: Bitmaps, content: Uint8Array): string | null {
  const isTrusted = [...bitmaps.values()].some(({ bits }) => bits !== null)
  if (isTrusted && Buffer.compare(content, step.content) !== 0) return 'bitmaps are trusted although the disk has changed'
  if (!step.changesDisk) return [step.before, step.after].some((state) => describeAll(state) === describeAll(bitmaps)) ? null : `neither old nor new:\n${describeAll(bitmaps)}`
  // Some may be marked already.
  const marked = new Map([...step.before].map(([name, bitmap]) => [name, bitmaps.get(name)?.bits === null ? { ...bitmap, bits: null } : bitmap]))
  return describeAll(marked) === describeAll(bitmaps) ? null : `not those that were there:\n${describeAll(bitmaps)}`
}

describe('a crash while bitmaps are stored, removed and marked', () => {
  const tools = haveReference ? new Reference() : null
  afterAll(() => tools?.[Symbol.dispose]())

  const layouts: readonly Readonly<Record<string, unknown>>[] = [
    { cluster_size: 512, refcount_bits: 64 },
    { cluster_size: 1024, backing_file: 'x'.repeat(100), backing_fmt: 'raw' },
    { cluster_size: 4096, refcount_bits: 1 },
    { cluster_size: 8192 },
    { cluster_size: 65536, extended_l2: true },
  ]
  for (const [index, options] of layouts.entries()) {
    it(`leaves the old ones or the new ones, and trusts none that is not right (${JSON.stringify(options).slice(0, 60)})`, { timeout: 60_000 }, async () => {
      const random = new Random(Number(process.env['CRASH_SEED'] ?? 1) * 100 + index)
      const file = await createInMemory({ size: SIZE, ...options })
      if (tools !== null && 'backing_file' in options) writeFileSync(tools.path(String(options['backing_file'])), '')
      const base = file.content.slice()
      file.recording = true
      file.before = async () => {
        for (let turns = random.below(4); turns > 0; turns--) await Promise.resolve()
      }
      const image = await openQcow2({ file, backing: null })
      const limits = { zero: image.limits.zeroAlignment, discard: image.limits.discardAlignment, cluster: image.limits.clusterSize, compress: true, discards: true }
      const steps: Step[] = []
      let content: Uint8Array = new Uint8Array(SIZE)
      let bitmaps: Bitmaps = new Map()
      for (let round = 0; round < 24; round++) {
        const from = file.events.length
        const before = bitmaps
        let what = 'nothing'
        const old = content
        const kind = random.below(5)
        if (kind < 2) {
          what = 'write'
          const operations = pickOperations(random, SIZE, limits, 1 + random.below(8), round * 100)
          await Promise.all(operations.map((operation) => perform(image, operation)))
          if (random.chance(0.5)) await image.writer!.flush('stable')
          content = content.slice()
          for (const operation of operations) applyToModel(content, operation)
          bitmaps = untrusted(bitmaps)
        } else if (kind === 2 && bitmaps.size > 0) {
          const name = random.pick([...bitmaps.keys()])
          what = `remove ${name}`
          await image.bitmaps!.remove!(name)
          bitmaps = new Map([...bitmaps].filter(([each]) => each !== name))
        } else {
          const next = new Map(bitmaps)
          const stored = ['a', 'b', 'c', 'd'].filter(() => random.chance(0.5)).map((name) => {
            const granularity = random.pick([512, 512, 4096, 65536])
            const bits = randomBits(random, SIZE, granularity, random.pick([2, 64]))
            next.set(name, { granularity, bits })
            return contentOf(name, granularity, bits, random.chance(0.5))
          })
          what = `store ${stored.map(({ name }) => name).join()}`
          await image.bitmaps!.store!(stored)
          bitmaps = next
        }
        steps.push({ what, from, to: file.events.length, changesDisk: what === 'write', content: old, before, after: bitmaps })
      }
      file.before = undefined
      await image.close()
      expect(describeAll(await bitmapsOf(await openQcow2({ file, backing: null })))).toBe(describeAll(bitmaps))

      const powerLoss = new PowerLoss(base, file.events)
      let trials = 0
      const many = file.events.length * TRIALS
      for (const step of steps) {
        for (let cut = step.from; cut <= step.to; cut++) {
          for (let trial = 0; trial < TRIALS; trial++) {
            const where = `seed ${random.seed}, ${step.what}, cut at ${cut - step.from} of ${step.to - step.from}`
            const disk = await powerLoss.after(cut, random)
            const crashed = await openQcow2({ file: disk, backing: null, mode: { readOnly: true, forCheck: true } })
            expect(await crashed.info!(), where).toBeDefined()
            const problem = wrong(step, await bitmapsOf(crashed), await readAll(crashed))
            if (problem !== null) expect.fail(`${where}: ${problem}`)
            const { corruptions, checkErrors } = await crashed.check!.check({ fix: 'none' })
            expect({ corruptions, checkErrors }, where).toEqual({ corruptions: 0, checkErrors: 0 })
            if (tools === null || trials++ % Math.ceil(many / REFERENCE_TRIALS) !== 0) continue
            tools.save('crashed', disk)
            const { status, stdout, stderr } = spawnSync('qemu-img', ['check', '-f', 'qcow2', tools.path('crashed')], { encoding: 'utf8' })
            // Leaks are allowed, nothing else.
            if (status !== 0 && status !== 3) expect.fail(`${where}: ${stdout}${stderr}`)
          }
        }
      }
      expect(trials === 0 || trials > 300).toBe(true)
    })
  }

  it('trusts none of another length when the disk gets another size', { timeout: 30_000 }, async () => {
    for (const [index, to] of [400 * 1024, 60 * 1024, SIZE + 512].entries()) {
      const random = new Random(Number(process.env['CRASH_SEED'] ?? 1) * 10 + index)
      const file = await createInMemory({ size: SIZE, cluster_size: 512 })
      const image = await openQcow2({ file })
      await image.writer!.write(0, new Uint8Array(SIZE).fill(7), 0)
      const old = randomBits(random, SIZE, 512, 4)
      await image.bitmaps!.store!([contentOf('a', 512, old)])
      const base = file.content.slice()
      file.recording = true
      await image.resize!.resize(to, { preallocation: 'off', zeroFill: true })
      const resized = file.events.length
      const bits = randomBits(random, to, 512, 4)
      await image.bitmaps!.store!([contentOf('a', 512, bits)])
      await image.close()
      const powerLoss = new PowerLoss(base, file.events)
      for (let cut = 0; cut <= file.events.length; cut++) {
        const where = `seed ${random.seed}, to ${to}, cut at ${cut} of ${resized} and ${file.events.length}`
        const crashed = await openQcow2({ file: await powerLoss.after(cut, random), mode: { readOnly: true, forCheck: true } })
        const found = (await bitmapsOf(crashed)).get('a')!.bits
        const size = await crashed.size()
        if (found !== null) expect(Buffer.compare(found, size === to ? bits : old), where).toBe(0)
        if (cut < resized && size === to) expect(found, where).toBeNull()
        const { corruptions, checkErrors } = await crashed.check!.check({ fix: 'none' })
        expect({ corruptions, checkErrors }, where).toEqual({ corruptions: 0, checkErrors: 0 })
      }
    }
  })
})
