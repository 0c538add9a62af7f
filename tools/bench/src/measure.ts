import { spawnSync } from 'node:child_process'
import { runTimed, type Timed } from './run-timed.ts'

/** The same work for both sides. */
export interface Work {
  readonly name: string
  /** The demand on the ratio: at most, for times; at least, for rates. */
  readonly limit: number
  /** `time`: seconds of wall time. `rate`: requests a second, as the tool itself says. */
  readonly kind: 'time' | 'rate'
  /** Arguments behind the program; both tools take the same. Makes the images that they name, if they are not there. */
  readonly args: () => readonly string[]
  /** What stands on the other side, if it is not the reference tool with the same arguments. */
  readonly theirs?: readonly string[]
  /** Most bytes that we may take at our peak. */
  readonly memoryLimit?: number
  /** Runs before each run: removes targets. */
  readonly prepare?: () => void
  /** Runs last before each run: makes the memory that the page cache will use as warm for one side as for the other. */
  readonly warmUp?: () => void
  /** Looks at what our last run made. */
  readonly verify?: () => void
}

/** Medians of a work. */
export interface Measured {
  readonly name: string
  readonly kind: 'time' | 'rate'
  readonly limit: number
  readonly ours: number
  readonly theirs: number
  /** `ours / theirs`: below 1 is faster for times, above 1 for rates. */
  readonly ratio: number
  /** How long or how much single runs took, in order of size. */
  readonly runs: { readonly ours: readonly number[]; readonly theirs: readonly number[] }
  readonly ok: boolean
  /** Our peak memory, bytes. */
  readonly memory: number
  readonly memoryLimit?: number
}

/**
 * Runs both sides in turn, so that what the host does besides hits both, and neither always comes first: who comes second
 * may find memory and files in another state.
 */
export async function measurePair(work: Work, ours: readonly string[], theirs: readonly string[], rounds: number): Promise<Measured> {
  const a: number[] = []
  const b: number[] = []
  const args = work.args()
  // A run of its own, for our memory: looking at it takes time on one of the processors.
  const { peakMemory: memory } = await once(work, [...ours, ...args], true)
  const runOurs = async (): Promise<void> => {
    a.push(value(work, await once(work, [...ours, ...args])))
    work.verify?.()
  }
  const runTheirs = async (): Promise<void> => void b.push(value(work, await once(work, work.theirs ?? [...theirs, ...args])))
  for (let round = 0; round < rounds; round++) {
    await (round % 2 === 0 ? runOurs() : runTheirs())
    await (round % 2 === 0 ? runTheirs() : runOurs())
  }
  const ratio = median(a) / median(b)
  const { name, kind, limit, memoryLimit } = work
  const ok = (kind === 'time' ? ratio <= limit : ratio >= limit) && memory <= (memoryLimit ?? Infinity)
  return { name, kind, limit, ours: median(a), theirs: median(b), ratio, runs: { ours: ascending(a), theirs: ascending(b) }, ok, memory, ...(memoryLimit === undefined ? {} : { memoryLimit }) }
}

async function once(work: Work, command: readonly string[], watch = false): Promise<Timed> {
  work.prepare?.()
  // Dirty pages of the run before must not throttle this one.
  spawnSync('sync')
  work.warmUp?.()
  return runTimed(command[0]!, command.slice(1), watch)
}

function value(work: Work, timed: Timed): number {
  if (work.kind === 'time') return timed.seconds
  const requests = /Sending (\d+) /.exec(timed.stdout)?.[1]
  const seconds = /completed in ([\d.]+) seconds/.exec(timed.stdout)?.[1]
  if (requests === undefined || seconds === undefined) throw new Error(`no rate in the output: ${timed.stdout}`)
  return Number(requests) / Number(seconds)
}

function median(values: readonly number[]): number {
  const sorted = ascending(values)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

function ascending(values: readonly number[]): number[] {
  return [...values].sort((x, y) => x - y)
}
