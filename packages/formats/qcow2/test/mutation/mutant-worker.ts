import { parentPort, workerData } from 'node:worker_threads'
import type { Sample } from './corpus.ts'
import { exercise, targetsOf, type Mode } from './exercise.ts'

/** What a worker is told. Slot 0 of `heartbeat` is the mutant in hand plus one; 0 while there is none. */
export interface WorkOrder {
  readonly samples: readonly Sample[]
  readonly mode: Mode
  readonly from: number
  readonly to: number
  readonly step: number
  readonly heartbeat: Int32Array
}

/** What a worker reports: each failure at once, the sums in the end. */
export type WorkMessage =
  | { readonly kind: 'failure'; readonly seed: number; readonly error: string }
  | { readonly kind: 'done'; readonly done: number; readonly opened: number; readonly refused: number; readonly largestRequest: number; readonly mostBuffers: number }

/** A deadlock is not seen by counting requests. */
const PATIENCE_MS = 20_000
const MOST_FAILURES = 200

async function work(order: WorkOrder, post: (message: WorkMessage) => void): Promise<void> {
  const targets = targetsOf(order.samples)
  let failures = 0
  const fail = (seed: number, error: string): void => {
    failures++
    post({ kind: 'failure', seed, error })
  }
  let [done, opened, refused, largestRequest, mostBuffers] = [0, 0, 0, 0, 0]
  const stray = (error: unknown): void => fail(order.heartbeat[0]! - 1, `not handled: ${describe(error)}`)
  process.on('unhandledRejection', stray)
  process.on('uncaughtException', stray)
  for (let seed = order.from; seed < order.to && failures < MOST_FAILURES; seed += order.step) {
    Atomics.store(order.heartbeat, 0, seed + 1)
    try {
      const outcome = await patient(exercise(targets, seed, order.mode))
      opened += outcome.opened ? 1 : 0
      refused += outcome.refused
      largestRequest = Math.max(largestRequest, outcome.largestRequest)
    } catch (error) {
      fail(seed, describe(error))
    }
    done++
    if (done % 16 === 0) {
      // Lets strays be reported, and buffers be collected.
      await new Promise((resolve) => setImmediate(resolve))
      mostBuffers = Math.max(mostBuffers, process.memoryUsage().arrayBuffers)
    }
  }
  post({ kind: 'done', done, opened, refused, largestRequest, mostBuffers })
}

async function patient<T>(promise: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error(`has not settled after ${PATIENCE_MS} ms`)), PATIENCE_MS)
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

function describe(error: unknown): string {
  const parts: string[] = []
  for (let at = error; at !== undefined && parts.length < 4; at = (at as Error).cause) parts.push(at instanceof Error ? (at.stack ?? at.message) : String(at))
  return parts.join('\ncaused by ')
}

if (parentPort !== null && workerData !== null) {
  const port = parentPort
  await work(workerData as WorkOrder, (message) => port.postMessage(message))
}
