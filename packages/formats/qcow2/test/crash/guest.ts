import type { BlockNode } from '@blockloom/block-core'
import { isBlockError } from '@blockloom/block-driver'
import type { SeededRandom } from '@blockloom/oracle'
import type { Recorder } from './recording-disk.ts'

/** A change that the guest asked for: from `issued` on its bytes may be there, after a flush they must be. */
interface GuestChange {
  readonly offset: number
  readonly issued: number
  /** What the range reads as afterwards; of a discard, known only when it is done. */
  data: Uint8Array
  acknowledged: number
}

interface GuestResize {
  readonly size: number
  readonly issued: number
  acknowledged: number
}

/** What the guest may rely on after the power went. */
export interface Promised {
  /** Byte for byte what was flushed. */
  readonly content: Uint8Array
  readonly sizes: readonly number[]
  /** Changes that may be there or not, also in parts. */
  readonly open: readonly { readonly offset: number; readonly data: Uint8Array }[]
}

/** What a guest does. */
export interface Habits {
  readonly operations: number
  /** Most requests in flight. */
  readonly depth: number
  readonly compress: boolean
  /** The disk grows, now and then, up to this size. */
  readonly growTo?: number
}

/** A guest that does random things to a disk, and remembers what it was promised. */
export class Guest {
  readonly #node: BlockNode
  readonly #recorder: Recorder
  readonly #random: SeededRandom
  readonly #initial: Uint8Array
  readonly #changes: GuestChange[] = []
  readonly #resizes: GuestResize[] = []
  readonly #flushes: { readonly started: number; readonly done: number }[] = [{ started: 0, done: 0 }]
  readonly #inFlight = new Set<{ readonly from: number; readonly to: number; readonly done: Promise<void> }>()
  #value = 0

  constructor(node: BlockNode, recorder: Recorder, initial: Uint8Array) {
    this.#node = node
    this.#recorder = recorder
    this.#random = recorder.random
    this.#initial = initial
  }

  async run(habits: Habits): Promise<void> {
    for (let i = 0; i < habits.operations; i++) {
      while (this.#inFlight.size >= 1 + this.#random.below(habits.depth)) await this.#any()
      await this.#one(habits)
    }
    await this.#all()
  }

  /** What must and what may be there if the power goes at tick `cut`. */
  promised(cut: number): Promised {
    let stable = 0
    for (const flush of this.#flushes) if (flush.done <= cut) stable = Math.max(stable, flush.started)
    const sizes = [this.#initial.length]
    for (const resize of this.#resizes) {
      if (resize.acknowledged <= stable) sizes.length = 0
      if (resize.acknowledged <= stable || resize.issued <= cut) sizes.push(resize.size)
    }
    const content = new Uint8Array(Math.max(...sizes))
    content.set(this.#initial)
    const open: GuestChange[] = []
    for (const change of this.#changes) {
      if (change.acknowledged <= stable) content.set(change.data, change.offset)
      else if (change.issued <= cut) open.push(change)
    }
    return { content, sizes, open }
  }

  async #one(habits: Habits): Promise<void> {
    const random = this.#random
    const kind = random.below(100)
    if (kind < 8) return this.#flush()
    if (kind < 10 && habits.growTo !== undefined && this.#node.size < habits.growTo) return this.#grow(habits.growTo)
    const cluster = Math.max(512, this.#node.limits.clusterSize)
    if (kind < 18) return this.#change('zero', this.#range(random.pick([1, 512, cluster]), cluster))
    if (kind < 28) return this.#change('discard', this.#range(random.pick([512, cluster]), cluster))
    if (kind < 40 && habits.compress) return this.#change('compress', this.#range(cluster, 1))
    return this.#change('write', this.#range(random.pick([1, 512, 512, cluster]), cluster))
  }

  /** A range that starts and ends at multiples of `align`, often near others; at most a few clusters. */
  #range(align: number, cluster: number): { offset: number; bytes: number } {
    const random = this.#random
    const { size } = this.#node
    const near = random.chance(0.5) ? Math.min(size, 24 * cluster) : size
    const offset = Math.floor(random.below(near) / align) * align
    const most = cluster === 1 ? 1 : random.pick([1, cluster, 6 * cluster])
    const bytes = Math.ceil((1 + random.below(most)) / align) * align
    return { offset, bytes: Math.min(bytes, size - offset) }
  }

  async #change(kind: 'write' | 'compress' | 'zero' | 'discard', { offset, bytes }: { offset: number; bytes: number }): Promise<void> {
    // Overlapping writes in flight end in no defined order.
    for (const other of [...this.#inFlight]) if (other.from < offset + bytes && other.to > offset) await other.done
    const data = kind === 'write' || kind === 'compress' ? this.#data(offset, bytes) : new Uint8Array(bytes)
    const change: GuestChange = { offset, data, issued: this.#recorder.tick(), acknowledged: Infinity }
    this.#changes.push(change)
    const work = async (): Promise<void> => {
      if (kind === 'write') await this.#node.write(offset, data)
      else if (kind === 'zero') await this.#node.zero(offset, bytes, this.#random.pick([0, 2]))
      else if (kind === 'discard') await this.#node.discard(offset, bytes)
      else await this.#compress(offset, data)
      const acknowledged = this.#recorder.tick()
      if (kind === 'discard' || kind === 'compress') {
        const found = new Uint8Array(bytes)
        await this.#node.read(offset, found)
        change.data = found
      }
      change.acknowledged = acknowledged
    }
    this.#track(offset, offset + bytes, work())
  }

  async #compress(offset: number, data: Uint8Array): Promise<void> {
    try {
      await this.#node.writeCompressed(offset, data)
    } catch (error) {
      // A format may refuse to compress over what is there.
      if (!isBlockError(error, 'invalid') && !isBlockError(error, 'unsupported')) throw error
    }
  }

  async #flush(): Promise<void> {
    const started = this.#recorder.tick()
    const work = this.#node.flush().then(() => void this.#flushes.push({ started, done: this.#recorder.tick() }))
    this.#track(-1, -1, work)
    if (this.#random.chance(0.3)) await work
  }

  async #grow(most: number): Promise<void> {
    await this.#all()
    const size = Math.min(most, this.#node.size + 512 * (1 + this.#random.below(400)))
    const resize: GuestResize = { size, issued: this.#recorder.tick(), acknowledged: Infinity }
    this.#resizes.push(resize)
    await this.#node.resize(size)
    resize.acknowledged = this.#recorder.tick()
  }

  /** Some of it compresses; every byte tells from which write it is, and from where. */
  #data(offset: number, bytes: number): Uint8Array {
    const value = ++this.#value
    const data = new Uint8Array(bytes)
    if (value % 3 === 0) for (let i = 0; i < bytes; i++) data[i] = Math.imul(offset + i + value * 7919, 2654435761) >>> 13
    else for (let i = 0; i < bytes; i++) data[i] = value + Math.floor((offset + i) / 97)
    return data
  }

  #track(from: number, to: number, work: Promise<void>): void {
    const entry = { from, to, done: work.finally(() => this.#inFlight.delete(entry)) }
    this.#inFlight.add(entry)
  }

  async #any(): Promise<void> {
    await Promise.race([...this.#inFlight].map(({ done }) => done))
  }

  async #all(): Promise<void> {
    while (this.#inFlight.size > 0) await Promise.all([...this.#inFlight].map(({ done }) => done))
  }
}
