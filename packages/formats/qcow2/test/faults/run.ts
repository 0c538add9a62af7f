import type { Instance } from '@blockloom/block-driver'
import { findCorruptions } from '../harness/consistency.ts'
import { createInMemory, optionsOf } from '../harness/create.ts'
import { MemoryChild } from '../harness/memory-child.ts'
import { openQcow2 } from '../harness/open.ts'
import { Random } from '../harness/random.ts'
import { fill, perform } from '../harness/workload.ts'
import type { Configuration } from './configurations.ts'
import { Faults, FaultyChild, type ChildOperation, type Fault } from './faulty-child.ts'
import { changed, differs, Expected, type Change, type State } from './states.ts'
import type { Request, Step, Workload } from './workload.ts'

/** An image to which a workload is going to happen. */
export interface Prepared {
  readonly configuration: Configuration
  readonly file: Uint8Array
  readonly dataFile: Uint8Array | null
  readonly backing: Uint8Array | null
  readonly state: State
}

/** How a workload ended that did not end badly. */
export interface Outcome {
  /** Requests to the files. */
  readonly requests: number
  /** What failed first; null if nothing did. */
  readonly failed: ChildOperation | null
  readonly leaks: number
  /** The files afterwards. */
  readonly file: Uint8Array
  readonly dataFile: Uint8Array | null
}

const NO_FAULT: Fault = { at: Infinity, lasts: false, full: false }

/** Makes the image that a workload starts from. */
export async function prepare(configuration: Configuration, workload: Workload, seed: number): Promise<Prepared> {
  const { options, size } = configuration
  const files = new Map<string, MemoryChild>()
  const backing = configuration.backing ? fill(new Uint8Array(size - 700), 0, seed) : null
  const named = backing === null ? {} : { backing_file: 'base', backing_fmt: 'raw' }
  const file = await createInMemory({ ...optionsOf(options), ...named, size: String(size) }, files)
  const bytes = new Uint8Array(size)
  if (backing !== null) bytes.set(backing)
  const empty = { configuration, file: file.content, dataFile: files.get('data')?.content ?? null, backing, state: { bytes, snapshots: new Map() } }
  const run = new Run(empty, NO_FAULT, new Random(seed), true)
  await run.steps(workload.before)
  const outcome = await run.finish()
  return { ...empty, file: outcome.file, dataFile: outcome.dataFile, state: run.expected.without }
}

/**
 * Does a workload with a fault, and throws if something is not as it should be: a request that neither works nor fails
 * with the fault, acknowledged data that is lost, a later request that does not work, an image that is not consistent.
 *
 * @param again - requests that failed are made again, so that in the end nothing is in doubt
 */
export async function runWorkload(prepared: Prepared, workload: Workload, fault: Fault, seed: number, again: boolean): Promise<Outcome> {
  const run = new Run(prepared, fault, new Random(seed), again)
  await run.steps(workload.steps)
  return run.finish()
}

class Run {
  readonly expected: Expected
  readonly #fault: Fault
  readonly #faults: Faults
  readonly #again: boolean
  readonly #configuration: Configuration
  readonly #file: FaultyChild
  readonly #dataFile: FaultyChild | null
  readonly #backing: FaultyChild | null
  #image: Instance | null = null
  #stopped = false
  /**
   * The header may be the old one or a new one; nothing can be changed before the image is opened again. Then the disk
   * holds what it did before, or this; or, if requests of the guest were under way, what had been flushed.
   */
  #undecided: State | 'flushed' | null = null

  constructor(prepared: Prepared, fault: Fault, random: Random, again: boolean) {
    this.#configuration = prepared.configuration
    this.#fault = fault
    this.#faults = new Faults(fault, random)
    this.#again = again
    this.expected = new Expected(prepared.state)
    const child = (name: string, content: Uint8Array | null): FaultyChild | null => (content === null ? null : new FaultyChild(name, content, this.#faults))
    this.#file = child('file', prepared.file)!
    this.#dataFile = child('data', prepared.dataFile)
    this.#backing = child('base', prepared.backing)
  }

  async steps(steps: readonly Step[]): Promise<void> {
    this.#image = await this.#open().catch((error: unknown) => {
      this.#assertCaused(error, 'opening')
      this.#faults.end()
      return this.#open()
    })
    for (const step of steps) {
      if (this.#stopped) break
      const before = this.#faults.first
      if ('requests' in step) await this.#batch(step.requests, step.flushAt)
      else await this.#change(step)
      if (this.#undecided !== null) return
      if (this.#faults.first === before) continue
      this.#faults.end()
      await this.#look('after a failure')
    }
    // Later requests work.
    if (this.#undecided !== null) return
    const { length } = this.expected.without.bytes
    const cluster = this.#configuration.clusterSize
    const later = [0, Math.floor(length / 2 / cluster) * cluster, length - 512].map((offset, i): Request => ({ op: 'write', offset, bytes: i === 1 ? cluster : 512, value: 5000 + i }))
    await this.#batch(later, null)
  }

  async finish(): Promise<Outcome> {
    const image = this.#image!
    if (this.#undecided === null) {
      await image.writer!.flush('stable').catch((error: unknown) => {
        this.#assertCaused(error, 'flushing')
        this.#faults.end()
        return image.writer!.flush('stable')
      })
    }
    // What was flushed is there even if closing fails.
    await image.close().catch((error: unknown) => this.#undecided ?? this.#assertCaused(error, 'closing'))
    this.#faults.end()
    const leaks = await this.#check()
    return { requests: this.#faults.requests, failed: this.#faults.first, leaks, file: this.#file.content, dataFile: this.#dataFile?.content ?? null }
  }

  async #batch(requests: readonly Request[], flushAt: number | null): Promise<void> {
    const image = this.#image!
    const failed: Exclude<Request, { op: 'read' }>[] = []
    const isOver = this.#faults.ended
    const one = async (request: Request): Promise<void> => {
      try {
        if (request.op === 'read') await this.#read(request.offset, request.bytes)
        else {
          await perform(image, request)
          this.expected.done(request)
        }
      } catch (error) {
        this.#assertCaused(error, request.op, isOver)
        if (request.op !== 'read') failed.push(request)
      }
    }
    const flush = (): Promise<void> => image.writer!.flush('stable').catch((error: unknown) => this.#assertCaused(error, 'flush'))
    const work: Promise<void>[] = []
    for (const [i, request] of requests.entries()) {
      if (i === flushAt) work.push(flush())
      work.push(one(request))
    }
    if (flushAt === requests.length) work.push(flush())
    await Promise.all(work)
    if (failed.length === 0) return
    for (const request of failed) this.expected.failed(request)
    this.#faults.end()
    await this.#look('after requests failed')
    if (await this.#isStuck()) this.#undecided = 'flushed'
    if (!this.#again || this.#undecided !== null) return
    for (const request of failed) await perform(image, request)
    this.expected.settled()
  }

  async #read(offset: number, bytes: number): Promise<void> {
    const into = new Uint8Array(bytes)
    await this.#image!.read(offset, into, 0)
    const { without, with: other } = this.expected
    const difference = differs(into, without.bytes.subarray(offset, offset + bytes), other.bytes.subarray(offset, offset + bytes), offset)
    if (difference !== null) throw new Error(`read: ${difference}`)
  }

  async #change(change: Change): Promise<void> {
    try {
      await this.#perform(change)
    } catch (error) {
      this.#assertCaused(error, change.op)
      this.#faults.end()
      const size = await this.#image!.size()
      const isResized = change.op === 'resize' && size === change.size && size !== this.expected.without.bytes.length
      if (!isResized) {
        // Nothing has changed. Now it must work; if it is not tried again, later steps make no sense.
        await this.#look(`after ${change.op} failed`)
        this.#stopped = !this.#again
        if (!this.#again) {
          this.#undecided = (await this.#isStuck()) ? changed(this.expected.with, change) : null
          return
        }
        if (!(await this.#retry(change))) return
      }
    }
    this.expected.change(change)
  }

  async #retry(change: Change): Promise<boolean> {
    if (await this.#isStuck()) this.#undecided = changed(this.expected.with, change)
    else await this.#perform(change)
    return this.#undecided === null
  }

  /** Two requests failed: one to the header, and the one that was to take it back. Then nothing can be changed any more. */
  async #isStuck(): Promise<boolean> {
    if (!this.#fault.lasts) return false
    const { bytes } = this.expected.without
    return this.#image!.writer!.write(0, bytes.slice(0, 1), 0).then(
      () => false,
      (error: unknown) => String(error).includes('must be closed') || Promise.reject(error),
    )
  }

  async #perform(change: Change): Promise<unknown> {
    const { resize, snapshots } = this.#image!
    switch (change.op) {
      case 'resize':
        return resize!.resize(change.size, { preallocation: change.preallocation, zeroFill: true })
      case 'create':
        return snapshots!.create!({ name: change.name, ...(change.vmState === undefined ? {} : { vmState: new Uint8Array(change.vmState).fill(9) }) })
      default:
        return snapshots![change.op]!(change.name)
    }
  }

  /** Compares all that can be read with what is expected. */
  async #look(when: string, image = this.#image!): Promise<void> {
    const names = image.snapshots!.list().map(({ name }) => name)
    const read = async (snapshot: string | null): Promise<Uint8Array> => {
      if (snapshot === null) return readWhole(image)
      const instance = await image.snapshots!.openReadOnly(snapshot)
      const bytes = await readWhole(instance)
      await instance.close()
      return bytes
    }
    const difference = await this.expected.difference(names, read)
    if (difference === null || this.#undecided === 'flushed') return
    if (this.#undecided === null || (await new Expected(this.#undecided).difference(names, read)) !== null) throw new Error(`${when}: ${difference}`)
  }

  /** Nothing but leaks, and all data is there; returns how many clusters leaked. */
  async #check(): Promise<number> {
    // If closing failed, lazy refcounts are made right by the next one who writes.
    if (this.#configuration.options.includes('lazy_refcounts')) await (await this.#open()).close()
    const image = await this.#open(true)
    const lines: string[] = []
    const { corruptions, checkErrors, leaks } = await image.check!.check({ fix: 'none', report: (line, severity) => void (severity === 'error' && lines.push(line)) })
    if (corruptions + checkErrors > 0) throw new Error(`check: ${lines.join('\n')}`)
    if (image.snapshots!.list().length === 0) {
      const corrupt = findCorruptions(this.#file.content)
      if (corrupt.length > 0) throw new Error(`corrupt: ${corrupt.join('\n')}`)
    }
    await this.#look('opened again', image)
    await image.close()
    if (this.#configuration.options.includes('data_file_raw')) this.#compareRaw()
    return leaks
  }

  #compareRaw(): void {
    const { without, with: other } = this.expected
    const raw = new Uint8Array(without.bytes.length)
    raw.set(this.#dataFile!.content.subarray(0, raw.length))
    const difference = differs(raw, without.bytes, other.bytes)
    if (difference !== null) throw new Error(`the raw data file: ${difference}`)
  }

  #open(readOnly = false): Promise<Instance> {
    return openQcow2({
      file: this.#file,
      backing: this.#backing,
      ...(this.#dataFile === null ? {} : { dataFile: this.#dataFile }),
      options: this.#configuration.image ?? {},
      mode: { readOnly },
    })
  }

  #assertCaused(error: unknown, what: string, isOver = false): void {
    if (isOver || !this.#faults.caused(error)) throw new Error(`${what} ended with an error that it should not`, { cause: error })
  }
}

/** Reused: most of the time would go into making such buffers. */
let scratch = new Uint8Array(0)

async function readWhole(image: Instance): Promise<Uint8Array> {
  const size = await image.size()
  if (scratch.length < size) scratch = new Uint8Array(2 * size)
  const bytes = scratch.subarray(0, size)
  await image.read(0, bytes, 0)
  return bytes
}
