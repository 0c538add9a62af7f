import { Worker } from 'node:worker_threads'
import { afterEach, describe, expect, it } from 'vitest'
import { corpus, goldenCorpus, type Sample } from './corpus.ts'
import { exercise, targetsOf, type Mode } from './exercise.ts'
import type { WorkMessage, WorkOrder } from './mutant-worker.ts'

// Valid images with a few changed bytes: whatever is done with them gives a result or a BlockError, in bounded time and
// memory. A mutant is its number: MUTANT=1234 (read), MUTANT=w1234 (write) or MUTANT=r1234 (repair) tries that one alone,
// in this thread.

const READ_MUTANTS = 20_000
const WRITE_MUTANTS = 4_000
const REPAIR_MUTANTS = 2_000
const WORKERS = 2
/** Nobody answers for so long only in a loop that never waits. */
const STUCK_MS = 10_000
const MIB = 1 << 20

const samples = corpus()
const workers = new Set<Worker>()
afterEach(async () => {
  await Promise.all([...workers].map((worker) => worker.terminate()))
  workers.clear()
})

interface Failure {
  readonly seed: number
  readonly error: string
}

/** Sums of what workers did, and every failure. */
interface Report {
  done: number
  opened: number
  refused: number
  largestRequest: number
  mostBuffers: number
  readonly failures: Failure[]
}

/** Runs an order to its end. A mutant that hangs or kills its worker is a failure; a new worker goes on behind it. */
async function run(order: WorkOrder, report: Report): Promise<void> {
  for (let from: number | null = order.from; from !== null && from < order.to; ) from = await runWorker({ ...order, from }, report)
}

/** Returns where to go on; null at the end. */
function runWorker(order: WorkOrder, report: Report): Promise<number | null> {
  return new Promise((resolve) => {
    const worker = new Worker(new URL('./mutant-worker.ts', import.meta.url), { workerData: order, resourceLimits: { maxOldGenerationSizeMb: 256 } })
    workers.add(worker)
    Atomics.store(order.heartbeat, 0, 0)
    let last = -1
    const leave = (next: number | null): void => {
      clearInterval(watch)
      workers.delete(worker)
      void worker.terminate()
      resolve(next)
    }
    const fail = (error: string): void => {
      const seed = Atomics.load(order.heartbeat, 0) - 1
      report.failures.push({ seed, error })
      leave(seed < 0 ? null : seed + order.step)
    }
    const watch = setInterval(() => {
      const now = Atomics.load(order.heartbeat, 0)
      if (now === last && now !== 0) fail(`hangs for more than ${STUCK_MS} ms`)
      last = now
    }, STUCK_MS)
    worker.on('message', (message: WorkMessage) => {
      if (message.kind === 'failure') {
        report.failures.push(message)
        return
      }
      report.done += message.done
      report.opened += message.opened
      report.refused += message.refused
      report.largestRequest = Math.max(report.largestRequest, message.largestRequest)
      report.mostBuffers = Math.max(report.mostBuffers, message.mostBuffers)
      leave(null)
    })
    worker.on('error', (error) => fail(`ended its worker: ${String(error)}`))
  })
}

async function runAll(mode: Mode, count: number): Promise<Report> {
  const start = Number(process.env['MUTANT_START'] ?? 0)
  const report: Report = { done: 0, opened: 0, refused: 0, largestRequest: 0, mostBuffers: 0, failures: [] }
  const orders = Array.from({ length: WORKERS }, (_, i) => ({ samples, mode, from: start + i, to: start + count, step: WORKERS, heartbeat: new Int32Array(new SharedArrayBuffer(4)) }))
  await Promise.all(orders.map((order) => run(order, report)))
  return report
}

/** One line per kind of failure, with the mutants that show it. */
function kindsOf(failures: readonly Failure[]): string[] {
  const kinds = new Map<string, { error: string; seeds: number[] }>()
  for (const { seed, error } of failures) {
    const key = error.split('\n').slice(0, 3).join('\n').replaceAll(/\d+/g, 'N')
    const kind = kinds.get(key) ?? { error, seeds: [] }
    kind.seeds.push(seed)
    kinds.set(key, kind)
  }
  return [...kinds.values()].map(({ error, seeds }) => `mutants ${seeds.slice(0, 8).join(', ')} (${seeds.length}): ${error}`)
}

function assess(report: Report, count: number): void {
  expect(kindsOf(report.failures)).toEqual([])
  expect(report.done).toBe(count)
  // The mutations reach both sides of every check.
  expect(report.opened).toBeGreaterThan(count * 0.3)
  expect(report.opened).toBeLessThan(count * 0.95)
  expect(report.refused).toBeGreaterThan(count * 0.2)
  expect(report.largestRequest).toBeLessThanOrEqual(64 * MIB)
  expect(report.mostBuffers).toBeLessThanOrEqual(256 * MIB)
}

const only = process.env['MUTANT']

describe('mutants', () => {
  it.runIf(only !== undefined)('the one that was asked for', async () => {
    await exercise(targetsOf(samples), Number(only!.replace(/^[wr]/, '')), only!.startsWith('w') ? 'write' : only!.startsWith('r') ? 'repair' : 'read')
  })

  it.runIf(only === undefined)(`${READ_MUTANTS} are read, listed and checked`, { timeout: 300_000 }, async () => {
    assess(await runAll('read', READ_MUTANTS), READ_MUTANTS)
  })

  it.runIf(only === undefined)(`${WRITE_MUTANTS} are written to`, { timeout: 300_000 }, async () => {
    assess(await runAll('write', WRITE_MUTANTS), WRITE_MUTANTS)
  })

  it.runIf(only === undefined)(`${REPAIR_MUTANTS} are repaired, then written to`, { timeout: 300_000 }, async () => {
    assess(await runAll('repair', REPAIR_MUTANTS), REPAIR_MUTANTS)
  })
})

describe('the samples', () => {
  const shape = ({ name, image, backing, dataFile }: Sample) => ({ name, size: image.length, backing: backing?.length, dataFile: dataFile?.length })

  it('in the repository are those that the reference makes', () => {
    const byName = (a: { name: string }, b: { name: string }): number => a.name.localeCompare(b.name)
    expect(goldenCorpus().map(shape).sort(byName)).toEqual(samples.map(shape).sort(byName))
  })

  it('have all the features', () => {
    const regions = new Set(targetsOf(goldenCorpus()).flatMap((target) => target.regions.map(({ name }) => name)))
    for (const name of ['header', 'active L1 table', 'active L2 table', 'refcount table', 'refcount block', 'snapshot table', 'snapshot L1 table', 'snapshot L2 table', 'bitmap directory', 'bitmap table', 'compressed data', 'LUKS header', 'LUKS key slot']) {
      expect(regions).toContain(name)
    }
  })
})
