import { afterAll, describe, expect, it } from 'vitest'
import { findCorruptions } from './harness/consistency.ts'
import { MemoryChild, type ChildEvent } from './harness/memory-child.ts'
import { openQcow2, readAll } from './harness/open.ts'
import { Random } from './harness/random.ts'
import { haveReference, Reference } from './harness/reference.ts'
import { applyToModel, perform, pickOperations, type Operation } from './harness/workload.ts'

const SIZE = 768 * 1024
/** Crash points of each layout. */
const TRIALS = Number(process.env['CRASH_TRIALS'] ?? 40)

/** Power is cut after `cut` events: what no flush covered is on the disk or not, each write by itself. */
async function afterPowerLoss(child: MemoryChild, base: Uint8Array, events: readonly ChildEvent[], cut: number, random: Random): Promise<MemoryChild> {
  let covered = 0
  for (const event of events.slice(0, cut)) if (event.op === 'flush' && event.child === child) covered = Math.max(covered, event.covers)
  const disk = new MemoryChild({ name: child.name, content: base })
  const luck = random.pick([0.1, 0.5, 0.9])
  for (const [index, event] of events.slice(0, cut).entries()) {
    if (event.child !== child || (index >= covered && !random.chance(luck))) continue
    if (event.op === 'write') await disk.write(event.offset, event.bytes)
    else if (event.op === 'zero') await disk.zero(event.offset, event.length)
    else if (event.op === 'discard') await disk.discard(event.offset, event.length)
    else if (event.op === 'resize') await disk.resize(event.size)
  }
  return disk
}

/** One operation and when it was started, in events. */
interface Started {
  readonly operation: Operation
  readonly from: number
  acknowledged: number
}

const layouts: Record<string, { options: string; image?: Record<string, unknown>; backing?: boolean; dataFile?: boolean; garbage?: boolean }> = {
  '4k clusters and the smallest caches': { options: 'cluster_size=4k', image: { 'l2-cache-size': 0, 'refcount-cache-size': 0, 'l2-cache-entry-size': 512 } },
  '512-byte clusters, 64-bit refcounts': { options: 'cluster_size=512,refcount_bits=64', garbage: true },
  '512-byte clusters': { options: 'cluster_size=512,refcount_bits=32' },
  'compressed clusters, 1-bit refcounts': { options: 'cluster_size=4k,refcount_bits=1' },
  'a backing file': { options: 'cluster_size=8k', backing: true, garbage: true },
  'extended L2 and a backing file': { options: 'extended_l2=on,cluster_size=16k', backing: true },
  'a data file': { options: 'cluster_size=4k', dataFile: true },
}

describe.runIf(haveReference)('after a crash', () => {
  const tools = new Reference()
  afterAll(() => tools[Symbol.dispose]())

  for (const [what, layout] of Object.entries(layouts)) {
    it(`an image with ${what} is consistent and has everything that was flushed`, async () => {
      const random = new Random(what.length)
      const name = `${what.replaceAll(/\W/g, '-')}.qcow2`
      const more: string[] = []
      let model = new Uint8Array(SIZE)
      if (layout.backing) {
        tools.create(`${name}.base`, String(SIZE))
        tools.io(`${name}.base`, `write -P 0x42 0 ${SIZE}`)
        model = tools.raw(`${name}.base`).slice()
        more.push('-b', `${name}.base`, '-F', 'qcow2')
      }
      const backing = layout.backing ? new MemoryChild({ content: model }) : null
      tools.create(name, String(SIZE), layout.options + (layout.dataFile ? `,data_file=${name}.data` : ''), more)
      const file = tools.load(name)
      // New clusters hold old bytes, as on a disk partition or in a file where space became free.
      if (layout.garbage) await file.write(file.size(), new Uint8Array(2 * SIZE).fill(0xc3))
      const dataFile = layout.dataFile ? tools.load(`${name}.data`) : undefined
      const bases = [file, dataFile].map((child) => child?.content.slice())
      const events = file.events
      for (const child of [file, dataFile]) {
        if (child === undefined) continue
        child.events = events
        child.recording = true
        child.before = async () => {
          for (let turns = random.below(5); turns > 0; turns--) await Promise.resolve()
        }
      }
      const options = layout.image ?? {}
      const image = await openQcow2({ file, backing, ...(dataFile === undefined ? {} : { dataFile }), options })
      const limits = { zero: image.limits.zeroAlignment, discard: image.limits.discardAlignment, cluster: image.limits.clusterSize, compress: image.compress !== undefined, discards: true }

      const started: Started[] = []
      const flushes = [{ from: 0, done: 0 }]
      const run = async (operation: Operation): Promise<void> => {
        const entry: Started = { operation, from: events.length, acknowledged: Infinity }
        started.push(entry)
        await perform(image, operation)
        entry.acknowledged = events.length
      }
      for (let round = 0; round < 30; round++) {
        const requests = pickOperations(random, SIZE, limits, 12, round * 100).map(run)
        if (random.chance(0.6)) {
          if (random.chance(0.5)) await Promise.all(requests)
          // An operation that was acknowledged in this very turn counts as before the flush.
          const from = events.length
          requests.push(image.writer!.flush('stable').then(() => void flushes.push({ from, done: events.length })))
        }
        await Promise.all(requests)
      }
      await image.close()

      const beforeFlushes = events.flatMap((event, index) => (event.op === 'flush' ? [index] : []))
      for (let trial = 0; trial < TRIALS; trial++) {
        // Just before a flush most is undecided.
        const cut = trial % 2 === 0 ? random.below(events.length + 1) : random.pick(beforeFlushes)
        const where = `seed ${random.seed}, trial ${trial}, cut at ${cut} of ${events.length}`
        const disk = await afterPowerLoss(file, bases[0]!, events, cut, random)
        const data = dataFile === undefined ? undefined : await afterPowerLoss(dataFile, bases[1]!, events, cut, random)
        expect(findCorruptions(disk.content), where).toEqual([])
        if (trial % 20 === 1) {
          tools.save(`crashed-${name}`, disk)
          // Leaks are allowed (exit status 3), nothing else.
          expect(() => tools.img('check', '-q', '-r', 'leaks', '-f', 'qcow2', `crashed-${name}`), where).not.toThrow()
        }
        const crashed = await openQcow2({ file: disk, backing, ...(data === undefined ? {} : { dataFile: data }), mode: { readOnly: true } })
        const found = await readAll(crashed)
        const flush = flushes.filter((each) => each.done <= cut).at(-1)!
        const expected = layout.backing ? model.slice() : new Uint8Array(SIZE)
        const undecided: Uint8Array[] = []
        for (const each of started) {
          if (each.acknowledged <= flush.from && each.acknowledged !== Infinity) applyToModel(expected, each.operation)
          else if (each.from <= cut) {
            const only = new Uint8Array(SIZE)
            applyToModel(only, each.operation)
            undecided.push(only)
          }
        }
        const later = started.filter((each) => !(each.acknowledged <= flush.from) && each.from <= cut)
        for (let at = 0; at < SIZE; at++) {
          if (found[at] === expected[at]) continue
          const isNew = later.some(({ operation }, i) => operation.offset <= at && at < operation.offset + operation.bytes && undecided[i]![at] === found[at])
          if (!isNew) expect.fail(`${where}: byte ${at} is ${found[at]}, flushed was ${expected[at]}`)
        }
      }
    })
  }
})
