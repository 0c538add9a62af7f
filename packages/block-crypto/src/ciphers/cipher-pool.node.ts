import type { Worker } from 'node:worker_threads'
import { ivGenerator } from '../sectors/iv-generator.ts'
import { xts } from '../sectors/xts.ts'
import { cipherWorker, type CipherMessage, type CipherWorkerData } from './cipher-worker.node.ts'
import type { SectorThreads, ThreadedXts } from './sector-threads.ts'

/** Requests go to the threads in pieces of this many bytes. */
const SLOT_BYTES = 256 * 1024
/** Pieces that are with one thread: it never waits for the next one. */
const SLOTS = 4
/** As on the main thread: two such buffers stay in the processor's second-level cache. */
const CHUNK = 65536

/** The host's cipher gives a new buffer for every chunk: with less memory, collecting them takes a third of the time. */
const WORKER_MEMORY = { maxOldGenerationSizeMb: 96 }

interface Job {
  readonly id: number
  readonly encrypts: boolean
  readonly from: Uint8Array
  readonly into: Uint8Array
  readonly firstSector: number
  readonly resolve: (done: boolean) => void
}

/** A thread, and what it is working on: answers come in the order of the jobs. */
interface Lane {
  readonly worker: Worker
  readonly memory: Uint8Array
  readonly sent: { readonly slot: number; readonly job: Job }[]
  readonly free: number[]
  /** Ciphers that it has. */
  readonly known: Set<number>
}

/**
 * Threads for ciphers of all images, with shared memory: it costs the calling thread two copies and a message per piece.
 * They are started when the first long request comes, and do not keep the process alive while they have nothing to do.
 *
 * @internal
 */
export class CipherPool {
  readonly #threads: number
  readonly #lanes: Lane[] = []
  readonly #queue: Job[] = []
  readonly #ciphers = new Map<number, ThreadedXts>()
  readonly #unused = new FinalizationRegistry<number>((id) => this.#forget(id))
  #lastId = 0
  #broken = false

  /** @param threads - 0: none, everything is refused */
  constructor(threads: number) {
    this.#threads = threads
    this.#broken = threads === 0
  }

  add(cipher: ThreadedXts): SectorThreads {
    const id = ++this.#lastId
    this.#ciphers.set(id, { ...cipher, key: new Uint8Array(cipher.key) })
    const piece = Math.max(1, Math.floor(SLOT_BYTES / cipher.sectorSize)) * cipher.sectorSize
    const threads: SectorThreads = {
      run: async (encrypts, from, into, firstSector, otherwise) => {
        if (this.#broken) return otherwise(from, into, firstSector)
        const jobs: Promise<void>[] = []
        for (let at = 0; at < from.length; at += piece) {
          const [part, to, sector] = [from.subarray(at, at + piece), into.subarray(at, at + piece), firstSector + at / cipher.sectorSize]
          const done = new Promise<boolean>((resolve) => this.#queue.push({ id, encrypts, from: part, into: to, firstSector: sector, resolve }))
          jobs.push(done.then((isDone) => (isDone ? undefined : otherwise(part, to, sector))))
        }
        this.#dispatch()
        await Promise.all(jobs)
      },
    }
    this.#unused.register(threads, id)
    return threads
  }

  /** Threads that were started. */
  get size(): number {
    return this.#lanes.length
  }

  #dispatch(): void {
    while (this.#queue.length > 0) {
      const lane = this.#idlest()
      if (lane === null) return
      this.#send(lane, this.#queue.shift()!)
    }
  }

  #idlest(): Lane | null {
    let best: Lane | null = null
    for (const lane of this.#lanes) if (lane.free.length > (best?.free.length ?? 0)) best = lane
    if ((best === null || best.free.length < SLOTS) && this.#lanes.length < this.#threads && !this.#broken) return this.#start() ?? best
    return best
  }

  #start(): Lane | null {
    const memory = new SharedArrayBuffer(SLOTS * SLOT_BYTES)
    const workerData: CipherWorkerData = { memory, chunk: CHUNK }
    let worker: Worker
    try {
      const threads = process.getBuiltinModule('node:worker_threads')
      const program = `(${cipherWorker.toString()})(${xts.toString()}, ${ivGenerator.toString()})`
      worker = new threads.Worker(program, { eval: true, workerData, execArgv: [], resourceLimits: WORKER_MEMORY })
    } catch {
      this.#giveUp()
      return null
    }
    const lane: Lane = { worker, memory: new Uint8Array(memory), sent: [], free: Array.from({ length: SLOTS }, (_, slot) => slot), known: new Set() }
    worker.unref()
    worker.on('message', (done: boolean) => this.#received(lane, done))
    worker.on('error', () => this.#lost(lane))
    worker.on('exit', () => this.#lost(lane))
    this.#lanes.push(lane)
    return lane
  }

  #send(lane: Lane, job: Job): void {
    const { id, encrypts, from, firstSector } = job
    const post = (message: CipherMessage): void => lane.worker.postMessage(message)
    if (!lane.known.has(id)) {
      const cipher = this.#ciphers.get(id)
      // Nobody has it any more but this request.
      if (cipher === undefined) return job.resolve(false)
      lane.known.add(id)
      post({ kind: 'add', id, cipher })
    }
    const slot = lane.free.pop()!
    lane.memory.set(from, slot * SLOT_BYTES)
    if (lane.sent.length === 0) lane.worker.ref()
    lane.sent.push({ slot, job })
    post({ kind: 'run', id, encrypts, offset: slot * SLOT_BYTES, bytes: from.length, firstSector })
  }

  #received(lane: Lane, done: boolean): void {
    const { slot, job } = lane.sent.shift()!
    if (done) job.into.set(lane.memory.subarray(slot * SLOT_BYTES, slot * SLOT_BYTES + job.into.length))
    lane.free.push(slot)
    if (lane.sent.length === 0) lane.worker.unref()
    this.#dispatch()
    job.resolve(done)
  }

  /** A thread is gone: what it had is done elsewhere, and no new ones are started. */
  #lost(lane: Lane): void {
    const at = this.#lanes.indexOf(lane)
    if (at < 0) return
    this.#lanes.splice(at, 1)
    for (const { job } of lane.sent.splice(0)) job.resolve(false)
    this.#giveUp()
  }

  #giveUp(): void {
    this.#broken = true
    if (this.#lanes.length > 0) this.#dispatch()
    else for (const job of this.#queue.splice(0)) job.resolve(false)
  }

  #forget(id: number): void {
    this.#ciphers.get(id)?.key.fill(0)
    this.#ciphers.delete(id)
    for (const lane of this.#lanes) {
      if (lane.known.delete(id)) lane.worker.postMessage({ kind: 'forget', id } satisfies CipherMessage)
    }
  }
}
