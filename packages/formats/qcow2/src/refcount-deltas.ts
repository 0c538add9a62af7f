import { BlockError } from '@blockloom/block-driver'
import { viewOf } from './on-disk/integers.ts'
import type { RefcountCodec } from './on-disk/refcount.ts'
import type { Qcow2Writer } from './writer.ts'

/** Neighbouring host clusters. @internal */
export interface ClusterRun {
  readonly first: number
  readonly count: number
}

/** What happens to the clusters that one refcount block counts. */
interface BlockDeltas {
  readonly index: number
  /** The block as it was when it was first needed. */
  readonly counts: DataView
  /** By slice of the block; most have no changes. */
  readonly slices: (Int32Array | undefined)[]
}

/** Deltas are kept in slices of at most this many clusters. */
const SLICE = 4096

/**
 * Many changes of refcounts that will come into force together.
 *
 * Only for a writer that has the image for itself, with all its refcounts on disk: blocks are read from there, past the
 * cache. Adding is synchronous once the block is here; {@link load} reads it.
 *
 * @internal
 */
export class RefcountDeltas {
  readonly #writer: Qcow2Writer
  readonly #codec: RefcountCodec
  readonly #entries: number
  readonly #slice: number
  readonly #blocks = new Map<number, BlockDeltas>()
  /** Which table entry has the block at an offset; two that share one could make us read it again and again. */
  readonly #owners = new Map<number, number>()
  #last: BlockDeltas | undefined

  constructor(writer: Qcow2Writer) {
    this.#writer = writer
    this.#codec = writer.refcounts.codec
    this.#entries = writer.image.geometry.refcountBlockEntries
    this.#slice = Math.min(SLICE, this.#entries)
  }

  /** Adds `by` to the refcount of `cluster`; false if its block has to be loaded first. */
  tryAdd(cluster: number, by: number): boolean {
    const block = this.#find(cluster)
    if (block === undefined) return false
    const inBlock = cluster - block.index * this.#entries
    const slice = Math.floor(inBlock / this.#slice)
    const deltas = (block.slices[slice] ??= new Int32Array(this.#slice))
    deltas[inBlock - slice * this.#slice]! += by
    return true
  }

  /** Adds `by` to the refcounts of `count` clusters. */
  async add(first: number, count: number, by: number): Promise<void> {
    for (let cluster = first; cluster < first + count; cluster++) {
      while (!this.tryAdd(cluster, by)) await this.load(cluster)
    }
  }

  /** The refcount of `cluster` with all that was added; `undefined` if its block has to be loaded first. */
  get(cluster: number): number | undefined {
    const block = this.#find(cluster)
    if (block === undefined) return undefined
    const inBlock = cluster - block.index * this.#entries
    const slice = Math.floor(inBlock / this.#slice)
    return this.#codec.get(block.counts, inBlock) + (block.slices[slice]?.[inBlock - slice * this.#slice] ?? 0)
  }

  /** Reads the block that counts `cluster`. */
  async load(cluster: number): Promise<void> {
    const { refcounts, image } = this.#writer
    const index = Math.floor(cluster / this.#entries)
    if (this.#blocks.has(index)) return
    const offset = refcounts.blockOffset(index)
    const owner = this.#owners.get(offset)
    if (offset === 0 || owner !== undefined) throw image.corruption.found(`Cluster ${cluster} is in use, but has no refcount block`)
    const counts = new Uint8Array(image.clusterSize)
    await image.file.read(offset, counts)
    const view = viewOf(counts)
    if (refcounts.codec.get(view, cluster - index * this.#entries) === 0) throw this.#uncounted(cluster)
    this.#owners.set(offset, index)
    this.#blocks.set(index, { index, counts: view, slices: [] })
  }

  /**
   * Checks all changes.
   *
   * @throws BlockError `unsupported` (EINVAL) if a refcount would not fit its width; `corrupt` if a cluster is in use that
   *   was not counted
   */
  verify(): void {
    const codec = this.#codec
    this.#each((cluster, delta, old) => {
      if (old === 0 || old + delta < 0) throw this.#uncounted(cluster)
      if (old + delta > codec.max) {
        throw new BlockError('unsupported', `Refcounts of ${codec.bits} bits are too small: cluster ${cluster} would have ${old + delta} references`, { errno: 'EINVAL', detail: { field: 'refcount_order' } })
      }
    })
  }

  /** Which blocks change, by their table entries. */
  changedBlocks(): number[] {
    const changed: number[] = []
    for (const { index, slices } of this.#blocks.values()) {
      if (slices.some((slice) => slice?.some((delta) => delta !== 0))) changed.push(index)
    }
    return changed
  }

  /** The block of table entry `index` as it is on disk now, with the changes. */
  async changed(index: number): Promise<Uint8Array> {
    const { refcounts, image } = this.#writer
    const bytes = new Uint8Array(image.clusterSize)
    await image.file.read(refcounts.blockOffset(index), bytes)
    const view = viewOf(bytes)
    for (const [slice, deltas] of this.#blocks.get(index)!.slices.entries()) {
      deltas?.forEach((delta, i) => {
        const at = slice * this.#slice + i
        if (delta !== 0) refcounts.codec.set(view, at, refcounts.codec.get(view, at) + delta)
      })
    }
    return bytes
  }

  /** The clusters that become free, ascending inside each block. */
  freed(): ClusterRun[] {
    const runs: { first: number; count: number }[] = []
    this.#each((cluster, delta, old) => {
      if (old + delta !== 0) return
      const last = runs.at(-1)
      if (last !== undefined && last.first + last.count === cluster) last.count++
      else runs.push({ first: cluster, count: 1 })
    })
    return runs
  }

  /** Visits the clusters whose refcounts change. */
  #each(visit: (cluster: number, delta: number, old: number) => void): void {
    const codec = this.#codec
    for (const { index, counts, slices } of this.#blocks.values()) {
      for (const [slice, deltas] of slices.entries()) {
        if (deltas === undefined) continue
        const first = slice * this.#slice
        for (let i = 0; i < deltas.length; i++) {
          const delta = deltas[i]!
          if (delta !== 0) visit(index * this.#entries + first + i, delta, codec.get(counts, first + i))
        }
      }
    }
  }

  #find(cluster: number): BlockDeltas | undefined {
    const index = Math.floor(cluster / this.#entries)
    if (this.#last?.index !== index) this.#last = this.#blocks.get(index)
    return this.#last
  }

  #uncounted(cluster: number): BlockError {
    return this.#writer.image.corruption.found(`Cluster ${cluster} is in use, but its refcount is too low`)
  }
}
