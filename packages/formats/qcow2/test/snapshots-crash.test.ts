import type { Instance } from '@blockloom/block-driver'
import { spawnSync } from 'node:child_process'
import { afterAll, describe, expect, it } from 'vitest'
import { MemoryChild, type ChildEvent } from './harness/memory-child.ts'
import { openQcow2, readAll } from './harness/open.ts'
import { Random } from './harness/random.ts'
import { haveReference, Reference } from './harness/reference.ts'
import { applyToModel, perform, pickOperations } from './harness/workload.ts'

const SIZE = 256 * 1024
/** Crash points of each layout, and how many of them the reference looks at. */
const TRIALS = Number(process.env['CRASH_TRIALS'] ?? 60)
const REFERENCE_TRIALS = 10

/** What the disk and its snapshots should be. */
interface State {
  readonly active: Uint8Array
  readonly snapshots: ReadonlyMap<string, Uint8Array>
}

/** A snapshot operation: the events that it took, and what it changed. */
interface Step {
  readonly what: string
  readonly from: number
  readonly to: number
  readonly before: State
  readonly after: State
}

/** Power is cut after `cut` events: what no flush covered is on the disk or not, each write by itself. */
async function afterPowerLoss(base: Uint8Array, events: readonly ChildEvent[], cut: number, random: Random): Promise<MemoryChild> {
  let covered = 0
  for (const event of events.slice(0, cut)) if (event.op === 'flush') covered = Math.max(covered, event.covers)
  const disk = new MemoryChild({ content: base })
  const luck = random.pick([0.1, 0.5, 0.9])
  for (const [index, event] of events.slice(0, cut).entries()) {
    if (index >= covered && !random.chance(luck)) continue
    if (event.op === 'write') await disk.write(event.offset, event.bytes)
    else if (event.op === 'zero') await disk.zero(event.offset, event.length)
    else if (event.op === 'discard') await disk.discard(event.offset, event.length)
    else if (event.op === 'resize') await disk.resize(event.size)
  }
  return disk
}

async function differs(image: Instance, state: State): Promise<string | null> {
  const names = image.snapshots!.list().map(({ name }) => name)
  if (names.join() !== [...state.snapshots.keys()].join()) return `snapshots are ${names.join()}`
  if (Buffer.compare(await readAll(image), state.active) !== 0) return 'the disk differs'
  for (const [name, content] of state.snapshots) {
    if (Buffer.compare(await readAll(await image.snapshots!.openReadOnly(name)), content) !== 0) return `snapshot ${name} differs`
  }
  return null
}

describe.runIf(haveReference)('a crash during a snapshot operation', () => {
  const tools = new Reference()
  afterAll(() => tools[Symbol.dispose]())

  const layouts = ['cluster_size=512,refcount_bits=64', 'cluster_size=4k', 'compat=0.10,cluster_size=4k', 'extended_l2=on,cluster_size=16k']
  for (const [index, options] of layouts.entries()) {
    it(`leaves all of it or nothing (${options})`, { timeout: 30_000 }, async () => {
      const random = new Random(Number(process.env['CRASH_SEED'] ?? 1) * 100 + index)
      const name = `crash-${index}.qcow2`
      tools.create(name, String(SIZE), options)
      const file = tools.load(name)
      const base = file.content.slice()
      file.recording = true
      file.before = async () => {
        for (let turns = random.below(4); turns > 0; turns--) await Promise.resolve()
      }
      const image = await openQcow2({ file })
      const limits = { zero: image.limits.zeroAlignment, discard: image.limits.discardAlignment, cluster: image.limits.clusterSize, compress: true, discards: true }
      const steps: Step[] = []
      let state: State = { active: new Uint8Array(SIZE), snapshots: new Map() }
      for (let round = 0; round < 14; round++) {
        const operations = pickOperations(random, SIZE, limits, 10, round * 100)
        await Promise.all(operations.map((operation) => perform(image, operation)))
        const active = state.active.slice()
        for (const operation of operations) applyToModel(active, operation)
        await image.writer!.flush('stable')
        const before: State = { active, snapshots: state.snapshots }
        const kind = state.snapshots.size === 0 ? 0 : random.below(4)
        const chosen = random.pick([...state.snapshots.keys(), 'none'].slice(0, Math.max(1, state.snapshots.size)))
        const from = file.events.length
        const snapshots = new Map(state.snapshots)
        let what = `create s${round}`
        if (kind <= 1) {
          await image.snapshots!.create!({ name: `s${round}`, ...(random.chance(0.3) ? { vmState: new Uint8Array(10_000).fill(7) } : {}) })
          state = { active, snapshots: snapshots.set(`s${round}`, active) }
        } else if (kind === 2) {
          what = `revert to ${chosen}`
          await image.snapshots!.revert!(chosen)
          state = { active: snapshots.get(chosen)!, snapshots }
        } else {
          what = `remove ${chosen}`
          await image.snapshots!.remove!(chosen)
          snapshots.delete(chosen)
          state = { active, snapshots }
        }
        steps.push({ what, from, to: file.events.length, before, after: state })
      }
      await image.close()
      for (let trial = 0; trial < TRIALS; trial++) {
        const step = random.pick(steps)
        const cut = step.from + random.below(step.to - step.from + 1)
        const where = `seed ${random.seed}, trial ${trial}, ${step.what}, cut at ${cut - step.from} of ${step.to - step.from}`
        const disk = await afterPowerLoss(base, file.events, cut, random)
        const crashed = await openQcow2({ file: disk })
        const problems = [await differs(crashed, step.before), await differs(crashed, step.after)]
        if (!problems.includes(null)) expect.fail(`${where}: ${problems.join('; ')}`)
        if (cut === step.to) expect(problems[1], where).toBeNull()
        if (trial % (TRIALS / REFERENCE_TRIALS) !== 0) continue
        tools.save(`crashed-${name}`, disk)
        const { status, stdout, stderr } = spawnSync('qemu-img', ['check', '-f', 'qcow2', tools.path(`crashed-${name}`)], { encoding: 'utf8' })
        // Leaks are allowed, nothing else.
        if (status !== 0 && status !== 3) expect.fail(`${where}: ${stdout}${stderr}`)
      }
    })
  }
})
