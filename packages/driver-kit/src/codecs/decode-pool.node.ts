import type { Worker } from 'node:worker_threads'
import { decodeWorker, WORDS_PER_JOB, type DecodeWorkerData } from './decode-worker.node.ts'

/** Longer clusters are rare, and pay for the way through libuv. */
const SLOT_BYTES = 128 * 1024

/** Two batches of this many jobs are with a worker: it never waits for the next one. */
const BATCH = 8
const BATCHES = 2

/** What a worker throws away after each cluster is collected early: memory stays small however long it runs. */
const WORKER_MEMORY = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 64 }

/** A cluster to decode. */
interface Job {
  readonly zstd: boolean
  readonly from: Uint8Array
  readonly into: Uint8Array
  readonly resolve: (filled: boolean) => void
}

/** A thread, and what it is working on: batches come back in the order they were sent. */
interface Lane {
  readonly worker: Worker
  readonly memory: Uint8Array
  readonly sent: { readonly firstSlot: number; readonly jobs: readonly Job[] }[]
}

const SLOTS = BATCH * BATCHES

/**
 * Threads that decode clusters in batches, in shared memory. A call through libuv costs the main thread as much as the
 * decoding itself (a stream object, a buffer, a collection of both); here it is two copies and a share of a message.
 *
 * Threads are started when the first cluster comes, and do not keep the process alive while they have nothing to do.
 *
 * @internal
 */
export class DecodePool {
  readonly #lanes: Lane[] = []
  readonly #queue: Job[] = []
  #threads: number | undefined
  #scheduled = false
  #broken = false

  /** @param threads - default: as many as there are processors, up to 4 */
  constructor(threads?: number) {
    this.#threads = threads
  }

  get #most(): number {
    return (this.#threads ??= Math.max(1, Math.min(4, process.getBuiltinModule('node:os').availableParallelism())))
  }

  /** False for clusters that are too long, and where threads cannot be had. */
  accepts(from: Uint8Array, into: Uint8Array): boolean {
    return !this.#broken && from.length <= SLOT_BYTES && into.length <= SLOT_BYTES && into.length > 0
  }

  /** True if `into` was filled; false if the data has to be looked at again, more closely. */
  decode(zstd: boolean, from: Uint8Array, into: Uint8Array): Promise<boolean> {
    return new Promise((resolve) => {
      this.#queue.push({ zstd, from, into, resolve })
      if (this.#scheduled) return
      this.#scheduled = true
      // What comes in the same turn goes in the same batch.
      queueMicrotask(() => {
        this.#scheduled = false
        this.#dispatch()
      })
    })
  }

  #dispatch(): void {
    while (this.#queue.length > 0) {
      const lane = this.#idlest()
      if (lane === null) return
      // Shared out: a lone batch of eight would leave the other threads without work.
      const share = Math.ceil(this.#queue.length / Math.max(1, this.#most))
      this.#send(lane, this.#queue.splice(0, Math.min(BATCH, share)))
    }
  }

  #idlest(): Lane | null {
    let best: Lane | null = null
    for (const lane of this.#lanes) if (lane.sent.length < BATCHES && (best === null || lane.sent.length < best.sent.length)) best = lane
    if ((best === null || best.sent.length > 0) && this.#lanes.length < this.#most) return this.#start() ?? best
    return best
  }

  #start(): Lane | null {
    const memory = new SharedArrayBuffer(2 * SLOTS * SLOT_BYTES)
    const workerData: DecodeWorkerData = { memory, slots: SLOTS, slotBytes: SLOT_BYTES, base: import.meta.url }
    let worker: Worker
    try {
      // Loaded when it is needed, like the host's zlib.
      const threads = process.getBuiltinModule('node:worker_threads')
      worker = new threads.Worker(`(${decodeWorker.toString()})()`, { eval: true, workerData, execArgv: [], resourceLimits: WORKER_MEMORY })
    } catch {
      this.#broken = true
      for (const job of this.#queue.splice(0)) job.resolve(false)
      return null
    }
    const lane: Lane = { worker, memory: new Uint8Array(memory), sent: [] }
    worker.unref()
    worker.on('message', (done: readonly boolean[]) => this.#received(lane, done))
    worker.on('error', () => this.#lost(lane))
    worker.on('exit', () => this.#lost(lane))
    this.#lanes.push(lane)
    return lane
  }

  #send(lane: Lane, jobs: readonly Job[]): void {
    const used = lane.sent[0]?.firstSlot
    const firstSlot = used === 0 ? BATCH : 0
    const message = new Int32Array(jobs.length * WORDS_PER_JOB)
    for (const [i, job] of jobs.entries()) {
      lane.memory.set(job.from, (firstSlot + i) * SLOT_BYTES)
      message.set([firstSlot + i, job.zstd ? 1 : 0, job.from.length, job.into.length], i * WORDS_PER_JOB)
    }
    if (lane.sent.length === 0) lane.worker.ref()
    lane.sent.push({ firstSlot, jobs })
    lane.worker.postMessage(message)
  }

  #received(lane: Lane, done: readonly boolean[]): void {
    const { firstSlot, jobs } = lane.sent.shift()!
    for (const [i, job] of jobs.entries()) {
      const start = (SLOTS + firstSlot + i) * SLOT_BYTES
      if (done[i] === true) job.into.set(lane.memory.subarray(start, start + job.into.length))
    }
    if (lane.sent.length === 0) lane.worker.unref()
    this.#dispatch()
    for (const [i, job] of jobs.entries()) job.resolve(done[i] === true)
  }

  /** A thread is gone: its work is done elsewhere, and no new ones are started. */
  #lost(lane: Lane): void {
    const at = this.#lanes.indexOf(lane)
    if (at < 0) return
    this.#lanes.splice(at, 1)
    this.#broken = true
    for (const { jobs } of lane.sent.splice(0)) for (const job of jobs) job.resolve(false)
    if (this.#lanes.length === 0) for (const job of this.#queue.splice(0)) job.resolve(false)
    else this.#dispatch()
  }
}
