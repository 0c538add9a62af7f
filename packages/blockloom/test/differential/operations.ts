import { SeededRandom } from '@blockloom/oracle'
import { ActMaker, type Act } from './acts.ts'
import type { Content } from './content.ts'
import type { Finale } from './finale.ts'
import { randomLayer, type Layer } from './layer.ts'
import { discardedRange } from './model.ts'

/** Something that changes a range of what the guest sees. */
export type RangeChange =
  | { readonly kind: 'write'; readonly offset: number; readonly bytes: number; readonly content: Content }
  | { readonly kind: 'compressed'; readonly offset: number; readonly bytes: number; readonly content: Content }
  | { readonly kind: 'zero'; readonly offset: number; readonly bytes: number; readonly unmap: boolean }
  | { readonly kind: 'discard'; readonly offset: number; readonly bytes: number }

/** Something that changes what the guest sees. */
export type Change = RangeChange | { readonly kind: 'resize'; readonly size: number }

export type Operation = Change | { readonly kind: 'flush' } | { readonly kind: 'read'; readonly offset: number; readonly bytes: number }

/** What happens to one layer between opening and closing it. */
export interface Session {
  readonly layer: number
  /** What is done to the image before. */
  readonly acts: readonly Act[]
  readonly operations: readonly Operation[]
  /** The writer is killed after a flush. It has lazy refcounts, so the next one has to repair the image. */
  readonly killed: boolean
}

/** A backing chain that grows, and what is done to it. Only the top is written. */
export interface Sequence {
  readonly seed: number
  readonly layers: readonly Layer[]
  readonly sessions: readonly Session[]
  readonly finale: Finale | null
}

/**
 * Makes the sequence of a seed: always the same.
 *
 * @param reference - leave out what the reference cannot do: compressed writes to allocated clusters, which it refuses,
 * and compressed writes after a compressed cluster has been dropped in the same session. Its allocator (7.2) goes on
 * filling the host cluster of the last compressed write, even if that was freed and has become something else.
 */
export function randomSequence(seed: number, reference: boolean): Sequence {
  const random = new SeededRandom(seed)
  const layers: Layer[] = []
  const sessions: Session[] = []
  const depth = random.pick([1, 1, 2, 3])
  let mayFinish = depth > 1
  for (let i = 0; i < depth; i++) {
    const layer = randomLayer(random, seed + 5 * i, layers[i - 1] ?? null, i === 0 && depth > 1, i === depth - 1)
    layers.push(layer)
    const maker = new OperationMaker(random, layer, i > 0, reference)
    const acts = new ActMaker(random, layer, i, i > 0)
    const parts = random.pick([1, 2, 3])
    // The reference does not resize what has snapshots, version 2 cannot say how large each of them is.
    if (acts.theme === 'snapshots' && (reference || layer.version === 2)) maker.keepSize()
    for (let part = 0; part < parts; part++) {
      const before = acts.before(part)
      for (const act of before) maker.note(act)
      maker.reopened()
      const operations = Array.from({ length: 3 + random.below(Math.floor(36 / parts / depth)) }, () => maker.next())
      sessions.push({ layer: i, acts: before, operations, killed: acts.mayKill && part < parts - 1 && random.chance(0.7) })
    }
    if (layer.encryption !== 'none' || (i >= depth - 2 && (acts.has.snapshots || acts.has.bitmaps))) mayFinish = false
  }
  return { seed, layers, sessions, finale: mayFinish && random.chance(0.5) ? randomFinale(random, layers) : null }
}

/** Snapshots and bitmaps of the layers that it changes would show something else afterwards. */
function randomFinale(random: SeededRandom, layers: readonly Layer[]): Finale {
  const depth = layers.length
  // The reference does not grow version 2 over a backing file.
  if ((depth === 2 || layers[depth - 2]!.version === 3) && random.chance(0.5)) return { kind: 'commit' }
  return { kind: 'rebase', onto: depth > 2 && random.chance(0.6) ? 0 : null }
}

/** Random operations on one layer, most of them near places where something happened before. */
export class OperationMaker {
  readonly #random: SeededRandom
  readonly #layer: Layer
  readonly #hasBacking: boolean
  readonly #places: readonly number[]
  readonly #reference: boolean
  /** Clusters that the reference refuses to write compressed. */
  #allocated = new Set<number>()
  readonly #taken = new Map<string, { readonly size: number; readonly allocated: ReadonlySet<number> }>()
  /** Clusters written compressed since the image was opened. */
  readonly #compressedHere = new Set<number>()
  #dropped = false
  #size: number
  #resizes = 0

  constructor(random: SeededRandom, layer: Layer, hasBacking: boolean, reference: boolean) {
    this.#random = random
    this.#reference = reference
    this.#layer = layer
    this.#hasBacking = hasBacking
    this.#size = layer.size
    if (layer.preallocation !== 'off') for (let cluster = 0; cluster * layer.clusterSize < layer.size; cluster++) this.#allocated.add(cluster)
    this.#places = [0, layer.size, ...Array.from({ length: 3 }, () => random.below(layer.size))]
  }

  /** No resizing from now on. */
  keepSize(): void {
    this.#resizes = 2
  }

  /** An act has changed the image. */
  note(act: Act): void {
    if (act.kind === 'take') this.#taken.set(act.name, { size: this.#size, allocated: new Set(this.#allocated) })
    if (act.kind !== 'revert') return
    const { size, allocated } = this.#taken.get(act.name)!
    this.#size = size
    this.#allocated = new Set(allocated)
  }

  reopened(): void {
    this.#compressedHere.clear()
    this.#dropped = false
  }

  next(): Operation {
    const dice = this.#random.next()
    const raw = this.#layer.format === 'raw'
    if (dice < 0.42) return this.#noted({ kind: 'write', ...this.#range(), content: this.#content() })
    if (dice < 0.57) return this.#noted({ kind: 'zero', ...this.#range(), unmap: this.#random.chance(0.5) })
    if (dice < 0.67) return raw ? { kind: 'flush' } : this.#noted({ kind: 'discard', ...this.#range() })
    if (dice < 0.8) return this.#compressed() ?? this.#noted({ kind: 'write', ...this.#range(), content: 'text' })
    if (dice < 0.83) return this.#resize() ?? { kind: 'flush' }
    if (dice < 0.87) return { kind: 'flush' }
    return { kind: 'read', ...this.#range() }
  }

  /** A range inside the image, from one byte to several clusters, mostly at edges of clusters or subclusters. */
  #range(): { readonly offset: number; readonly bytes: number } {
    const random = this.#random
    const from = Math.min(this.#position(), this.#size - 1)
    let bytes: number
    if (random.chance(0.45)) bytes = Math.abs(this.#position() - from)
    else if (random.chance(0.5)) bytes = 1 + random.below(4096)
    else bytes = 1 + random.below(this.#longest())
    return { offset: from, bytes: Math.max(1, Math.min(bytes, this.#longest(), this.#size - from)) }
  }

  #longest(): number {
    const { clusterSize } = this.#layer
    return clusterSize <= 65536 ? Math.max(16384, clusterSize * 5) : clusterSize * 1.5
  }

  #position(): number {
    const random = this.#random
    const { clusterSize, extendedL2 } = this.#layer
    const grain = random.pick([clusterSize, extendedL2 ? clusterSize / 32 : clusterSize, 512])
    const near = random.chance(0.7) ? random.pick(this.#places) + (random.below(7) - 3) * clusterSize : random.below(this.#size)
    const edge = Math.round(near / grain) * grain + random.pick([0, 0, 0, -1, 1, 512, random.below(grain)])
    return Math.max(0, Math.min(this.#size, edge))
  }

  #content(): Content {
    return this.#random.pick([1 + this.#random.below(255), 1 + this.#random.below(255), 'noise', 'text', 0])
  }

  #compressed(): Operation | null {
    const { clusterSize, format, dataFile, encryption } = this.#layer
    if (format === 'raw' || dataFile !== 'none' || encryption !== 'none' || (this.#reference && this.#dropped)) return null
    const first = Math.floor(Math.min(this.#position(), this.#size - 1) / clusterSize)
    const most = clusterSize > 262144 ? 1 : 1 + this.#random.below(4)
    let count = 0
    while (count < most && (first + count) * clusterSize < this.#size && (!this.#reference || !this.#allocated.has(first + count))) count++
    if (count === 0) return null
    const offset = first * clusterSize
    return this.#noted({ kind: 'compressed', offset, bytes: Math.min(count * clusterSize, this.#size - offset), content: this.#random.pick([this.#random.below(256), 'text', 'text', 'noise']) })
  }

  #resize(): Operation | null {
    if (this.#layer.format === 'raw' || this.#layer.dataFile === 'raw' || this.#resizes === 2) return null
    this.#resizes++
    const by = 512 * (1 + this.#random.below(Math.floor(this.#layer.size / 2048)))
    // Version 2 has no zeroes to hide a longer backing file with; the reference refuses to grow it then.
    // With subclusters it does the same in the middle of a compressed cluster.
    const endsInside = this.#reference && this.#layer.extendedL2 && this.#size % this.#layer.clusterSize !== 0
    const mayGrow = (this.#layer.version === 3 && !endsInside) || !this.#hasBacking
    // Growing over a longer backing file stores zeroes in the rest of the last cluster.
    if (this.#hasBacking) this.#allocated.add(Math.floor(this.#size / this.#layer.clusterSize))
    this.#size = mayGrow && this.#random.chance(0.6) ? this.#size + by : this.#shrunk(this.#size - by)
    for (const cluster of this.#compressedHere) if ((cluster + 1) * this.#layer.clusterSize > this.#size) this.#dropped = true
    return { kind: 'resize', size: this.#size }
  }

  /** The reference keeps what it cuts off inside a cluster, and shows it again when the image grows. */
  #shrunk(size: number): number {
    const { clusterSize } = this.#layer
    return this.#reference ? Math.max(clusterSize, size - (size % clusterSize)) : Math.max(512, size)
  }

  /** Keeps track of what is allocated. */
  #noted<T extends RangeChange>(change: T): T {
    const { clusterSize } = this.#layer
    const { offset, bytes, kind } = change
    for (let cluster = Math.floor(offset / clusterSize); cluster * clusterSize < offset + bytes; cluster++) {
      if (kind === 'compressed') this.#compressedHere.add(cluster)
      else if (this.#compressedHere.has(cluster)) this.#dropped = true
      if (kind !== 'discard') this.#allocated.add(cluster)
    }
    if (kind === 'discard') {
      const range = discardedRange(this.#layer, this.#hasBacking, this.#size, offset, bytes)
      for (let at = range?.from ?? 0; at < (range?.to ?? 0); at += clusterSize) this.#allocated.delete(at / clusterSize)
    }
    return change
  }
}
