import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { Random } from '../harness/random.ts'
import { haveReference } from '../harness/reference.ts'
import { configurations, type Configuration } from './configurations.ts'
import type { Fault } from './faulty-child.ts'
import { prepare, runWorkload, type Outcome, type Prepared } from './run.ts'
import { randomWorkload } from './workload.ts'

// Random workloads with many requests in flight. Each is done once without faults, which tells how many requests it makes of
// its files; then once for each of these, in which that request fails (EIO, or ENOSPC for what changes something), and for
// every tenth of them once more, in which everything that changes something fails from then on. FAULT=seed/request tries
// that one alone.

const BASE_SEED = Number(process.env['FAULT_SEED'] ?? 1)
/** Of each configuration, and of the one whose image is large. */
const WORKLOADS = 12
const LARGE_WORKLOADS = 8
/** The reference checks one in so many images. */
const REFERENCE_EVERY = 60
const HANGS_MS = 30_000
/** Clusters whose refcount cannot be read or written leak; more than so many of all runs must not have any. */
const MOST_LEAKY = 0.05

const [onlySeed, onlyRequest] = (process.env['FAULT'] ?? '').split('/').map(Number) as [number | undefined, number | undefined]
const isOnly = process.env['FAULT'] !== undefined

/** Registers the tests of every second configuration. */
export function everyRequestFails(half: 0 | 1): void {
  const folder = mkdtempSync(join(tmpdir(), 'qcow2-faults-'))
  const sums = { workloads: 0, runs: 0, leaky: 0 }
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true })
    console.log(`errors at every request: ${sums.workloads} workloads from seed ${BASE_SEED} on, ${sums.runs} faults; ${sums.leaky} of them leaked clusters`)
  })

  describe('when any one request fails, nothing is lost and everything goes on', () => {
    for (const [index, configuration] of configurations.entries()) {
      if (index % 2 !== half) continue
      const { options, backing, ballast } = configuration
      it(`${options}${backing ? ', a backing file' : ''}${ballast === undefined ? '' : ', a growing refcount table'}`, { timeout: 240_000 }, async () => {
        for (let i = 0; i < (ballast === undefined ? WORKLOADS : LARGE_WORKLOADS); i++) {
          const seed = BASE_SEED + index + i * configurations.length
          if (!isOnly || seed === onlySeed) await oneWorkload(configuration, seed)
        }
      })
    }
    it.runIf(!isOnly)('hardly anything leaks', () => expect(sums.leaky).toBeLessThan(sums.runs * MOST_LEAKY))
  })

  async function oneWorkload(configuration: Configuration, seed: number): Promise<void> {
    const workload = randomWorkload(new Random(seed), configuration)
    const prepared = await prepare(configuration, workload, seed)
    const { requests, leaks } = await runWorkload(prepared, workload, { at: Infinity, lasts: false, full: false }, seed, true)
    expect(leaks, `seed ${seed}, without a fault`).toBe(0)
    sums.workloads++
    for (let at = 0; at < requests; at++) {
      if (isOnly && at !== onlyRequest) continue
      for (const lasts of at % 10 === 0 ? [false, true] : [false]) {
        const fault: Fault = { at, lasts, full: (seed + at) % 2 === 0 }
        const outcome = await patient(runWorkload(prepared, workload, fault, seed, Math.floor(at / 2) % 2 === 0)).catch((error: unknown) => {
          throw new Error(`FAULT=${seed}/${at}${lasts ? ' and all that follow' : ''} of ${requests}, ${configuration.options}: ${String(error)}`, { cause: error })
        })
        if (outcome.leaks > 0 && !lasts) sums.leaky++
        if (sums.runs++ % REFERENCE_EVERY === 0 && haveReference) referenceAgrees(prepared, outcome, `FAULT=${seed}/${at}`)
      }
    }
  }

  /** The reference finds no corruptions either, and as many leaks. */
  function referenceAgrees(prepared: Prepared, outcome: Outcome, where: string): void {
    writeFileSync(join(folder, 'image'), outcome.file)
    if (prepared.backing !== null) writeFileSync(join(folder, 'base'), prepared.backing)
    if (outcome.dataFile !== null) writeFileSync(join(folder, 'data'), outcome.dataFile)
    const { status, stdout, stderr } = spawnSync('qemu-img', ['check', '-f', 'qcow2', 'image'], { cwd: folder, encoding: 'utf8' })
    expect(status, `${where}: ${stdout}${stderr}`).toBe(outcome.leaks > 0 ? 3 : 0)
  }
}

async function patient<T>(promise: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error('hangs')), HANGS_MS)
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
