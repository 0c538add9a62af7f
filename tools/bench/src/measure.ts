import { spawnSync } from 'node:child_process'
import { runTimed, type Timed } from './run-timed.ts'
import { processorTime, type ProcessorTime } from './steal.ts'

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

/** Medians of a work, of the runs that count. */
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
  /** Which part of the processors' time the host took away during these runs, 0 to 1; means. */
  readonly stolen: { readonly ours: number; readonly theirs: number }
  /** Our peak memory, bytes. */
  readonly memory: number
  readonly memoryLimit?: number
}

/** How much is done for a figure. */
export interface Effort {
  /** How many runs of each side count. */
  readonly rounds: number
  /** Seconds. While fewer runs than that were undisturbed, it goes on for so long; 0 or nothing: it does not. */
  readonly patience?: number
  /** How the host treats this machine; for tests. */
  readonly look?: () => ProcessorTime
}

interface Run {
  readonly value: number
  readonly stolen: number
}

/** A run during which the host took away no more than this part of the processors' time is undisturbed: a tick or two. */
const UNDISTURBED = 0.02

/**
 * Runs both sides in turn, so that what the host does besides hits both, and neither always comes first: who comes second
 * may find memory and files in another state. Of each side those runs count during which the host took the least of the
 * processors away.
 */
export async function measurePair(work: Work, ours: readonly string[], theirs: readonly string[], { rounds, patience = 0, look = processorTime }: Effort): Promise<Measured> {
  const a: Run[] = []
  const b: Run[] = []
  const args = work.args()
  // A run of its own, for our memory: looking at it takes time on one of the processors.
  const { peakMemory: memory } = await once(work, [...ours, ...args], look, true)
  const runOurs = async (): Promise<void> => {
    a.push(runOf(work, await once(work, [...ours, ...args], look)))
    work.verify?.()
  }
  const runTheirs = async (): Promise<void> => void b.push(runOf(work, await once(work, work.theirs ?? [...theirs, ...args], look)))
  const isEnough = (runs: readonly Run[]): boolean => runs.filter(({ stolen }) => stolen <= UNDISTURBED).length >= rounds
  const until = performance.now() + patience * 1000
  for (let round = 0; round < rounds || (performance.now() < until && !(isEnough(a) && isEnough(b))); round++) {
    await (round % 2 === 0 ? runOurs() : runTheirs())
    await (round % 2 === 0 ? runTheirs() : runOurs())
  }
  return judged(work, leastDisturbed(a, rounds), leastDisturbed(b, rounds), memory)
}

function leastDisturbed(runs: readonly Run[], count: number): Run[] {
  return [...runs].sort((x, y) => x.stolen - y.stolen).slice(0, count)
}

function judged({ name, kind, limit, memoryLimit }: Work, a: readonly Run[], b: readonly Run[], memory: number): Measured {
  const [ours, theirs] = [values(a), values(b)]
  const ratio = median(ours) / median(theirs)
  const ok = (kind === 'time' ? ratio <= limit : ratio >= limit) && memory <= (memoryLimit ?? Infinity)
  const stolen = { ours: mean(a.map((run) => run.stolen)), theirs: mean(b.map((run) => run.stolen)) }
  return { name, kind, limit, ours: median(ours), theirs: median(theirs), ratio, runs: { ours, theirs }, ok, stolen, memory, ...(memoryLimit === undefined ? {} : { memoryLimit }) }
}

async function once(work: Work, command: readonly string[], look: () => ProcessorTime, watch = false): Promise<Timed> {
  work.prepare?.()
  // Dirty pages of the run before must not throttle this one.
  spawnSync('sync')
  work.warmUp?.()
  return runTimed(command[0]!, command.slice(1), watch, look)
}

function runOf(work: Work, timed: Timed): Run {
  const { seconds, stolen, stdout } = timed
  if (work.kind === 'time') return { value: seconds, stolen }
  const sent = /Sending (\d+) /.exec(stdout)?.[1]
  const took = /completed in ([\d.]+) seconds/.exec(stdout)?.[1]
  if (sent === undefined || took === undefined) throw new Error(`no rate in the output: ${stdout}`)
  return { value: Number(sent) / Number(took), stolen }
}

/** In order of size. */
function values(runs: readonly Run[]): number[] {
  return runs.map(({ value }) => value).sort((x, y) => x - y)
}

function median(sorted: readonly number[]): number {
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

function mean(parts: readonly number[]): number {
  return parts.reduce((sum, part) => sum + part, 0) / parts.length
}
