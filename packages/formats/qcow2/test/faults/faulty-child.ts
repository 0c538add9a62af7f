import { BlockError, type FlushScope, type ResizeOptions } from '@blockloom/block-driver'
import { MemoryChild } from '../harness/memory-child.ts'
import type { Random } from '../harness/random.ts'

export type ChildOperation = 'read' | 'write' | 'zero' | 'discard' | 'flush' | 'resize'

/** Which requests to the files of an image fail, counted over all of them. */
export interface Fault {
  /** The first that fails; Infinity: none. */
  readonly at: number
  /** All that change something fail from then on, until {@link Faults.end}; otherwise only that one. */
  readonly lasts: boolean
  /** What is written to a full disk fails with ENOSPC, otherwise with EIO. */
  readonly full: boolean
}

/** Lets requests fail, and remembers with which errors. */
export class Faults {
  readonly random: Random
  readonly #fault: Fault
  readonly #errors = new Set<unknown>()
  #requests = 0
  #ended = false
  /** What failed first. */
  first: ChildOperation | null = null

  constructor(fault: Fault, random: Random) {
    this.#fault = fault
    this.random = random
  }

  /** Requests so far. */
  get requests(): number {
    return this.#requests
  }

  get ended(): boolean {
    return this.#ended
  }

  /** From now on everything works, and nothing is counted. */
  end(): void {
    this.#ended = true
  }

  /** The error of this request, if it is to fail. */
  next(op: ChildOperation): BlockError | null {
    if (this.#ended) return null
    const number = this.#requests++
    const { at, lasts, full } = this.#fault
    if (number !== at && !(lasts && number > at && op !== 'read')) return null
    this.first ??= op
    const noSpace = full && op !== 'read' && op !== 'flush'
    const error = noSpace ? new BlockError('no-space', `${op} ${number} failed`) : new BlockError('io', `${op} ${number} failed`)
    this.#errors.add(error)
    return error
  }

  /** Whether an error comes of a request that failed. */
  caused(error: unknown): boolean {
    for (let at = error; at !== undefined && at !== null; at = (at as Error).cause) if (this.#errors.has(at)) return true
    return false
  }

  /** Requests take turns in an order that the seed decides. */
  async hops(): Promise<void> {
    for (let hops = this.random.below(4); hops > 0; hops--) await Promise.resolve()
  }
}

/** Most workloads let the file grow by less. */
const SPARE = 256 * 1024

/** A file some of whose requests fail. A write that fails may have been done nonetheless, or sectors of it. */
export class FaultyChild extends MemoryChild {
  readonly #faults: Faults

  constructor(name: string, content: Uint8Array, faults: Faults) {
    super({ name, content, capacity: content.length + SPARE })
    this.#faults = faults
  }

  override async read(offset: number, into: Uint8Array): Promise<void> {
    await this.#pass('read')
    return super.read(offset, into)
  }

  override async write(offset: number, from: Uint8Array): Promise<void> {
    const error = this.#faults.next('write')
    await this.#faults.hops()
    if (error === null) return super.write(offset, from)
    const luck = this.#faults.random.pick([0, 0, 0.5, 1])
    for (let at = 0; at < from.length && luck > 0; ) {
      const end = Math.min(from.length, at + 512 - ((offset + at) % 512))
      if (this.#faults.random.chance(luck)) await super.write(offset + at, from.subarray(at, end))
      at = end
    }
    throw error
  }

  override async zero(offset: number, length: number): Promise<void> {
    await this.#pass('zero')
    return super.zero(offset, length)
  }

  override async discard(offset: number, length: number): Promise<void> {
    await this.#pass('discard')
    return super.discard(offset, length)
  }

  override async flush(scope: FlushScope): Promise<void> {
    await this.#pass('flush')
    return super.flush(scope)
  }

  override async resize(size: number, options?: ResizeOptions): Promise<void> {
    await this.#pass('resize')
    return super.resize(size, options)
  }

  async #pass(op: ChildOperation): Promise<void> {
    const error = this.#faults.next(op)
    await this.#faults.hops()
    if (error !== null) throw error
  }
}
