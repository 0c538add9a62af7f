import type { TableEntry } from '@blockloom/driver-kit'
import type { Qcow2Image } from './image.ts'
import { classifyCluster, emptyL2Run, l2Copied, l2HostOffset } from './on-disk/l2.ts'
import { subclustersAllocated } from './on-disk/l2-subclusters.ts'

/**
 * How a run of guest bytes is written.
 *
 * - `in-place`: its host clusters are ours alone and hold its data: write there, nothing else changes
 * - `reuse`: its host clusters are ours alone, but are not read from yet: write there, then change the L2 entries
 * - `allocate`: write to new clusters, then change the L2 entries
 *
 * @internal
 */
export type PlanKind = 'in-place' | 'reuse' | 'allocate'

/**
 * Decides how a write is done, piece by piece, without waiting. The result is in the planner's own fields and holds
 * until the next call, or the next await.
 *
 * @internal
 */
export class WritePlanner {
  kind: PlanKind = 'in-place'
  /** Guest offset where the piece ends. */
  end = 0
  /** Host offset: `in-place` of the first byte, `reuse` of the first cluster. */
  host = 0
  /** What is written besides: from here to the piece's start, the old contents move along. */
  cowStart = 0
  /** The same from the piece's end to here. */
  cowEnd = 0
  readonly #image: Qcow2Image
  readonly #clusterSize: number
  readonly #subclusterSize: number
  #entryKind: PlanKind = 'in-place'
  #entryHost = 0

  constructor(image: Qcow2Image) {
    this.#image = image
    this.#clusterSize = image.clusterSize
    this.#subclusterSize = image.geometry.subclusterSize
  }

  /**
   * Plans the piece that starts at guest offset `at`, at most up to `end` and to the end of the L2 slice.
   *
   * @returns `not-loaded`: load the L2 slice first; `no-table`: get an L2 table of our own first
   * @throws BlockError `corrupt` for an entry that cannot be
   */
  plan(at: number, end: number): 'planned' | 'not-loaded' | 'no-table' {
    const { mapper, l1, l2Cache, geometry } = this.#image
    if (!l1.copied(Math.floor(at / geometry.l2Coverage))) return 'no-table'
    const offset = mapper.sliceOffset(at)
    if (offset === 0) return 'no-table'
    const slice = l2Cache.peek(offset)
    if (slice === undefined) return 'not-loaded'
    const clusterSize = this.#clusterSize
    const cluster = Math.floor(at / clusterSize)
    const inSlice = mapper.indexInSlice(at)
    const sliceEnd = (cluster - inSlice) * clusterSize + mapper.sliceCoverage
    this.#plan(slice, inSlice, cluster, at, Math.min(end, sliceEnd))
    return 'planned'
  }

  /** Shortens an `allocate` or `reuse` piece to whole clusters. */
  trim(end: number): void {
    this.end = end
    this.cowEnd = end
  }

  #plan(slice: TableEntry, inSlice: number, cluster: number, at: number, end: number): void {
    const clusterSize = this.#clusterSize
    const extended = this.#image.geometry.extendedL2
    const partEnd = this.#classify(slice, inSlice, cluster, at)
    const kind = this.#entryKind
    const host = this.#entryHost
    const first = cluster
    let runEnd = partEnd
    if (kind === 'allocate' && !extended) {
      // New images are made of entries that say nothing.
      const empty = emptyL2Run(this.#image.geometry, slice.view, inSlice + 1, inSlice + Math.ceil(end / clusterSize) - cluster)
      cluster += empty
      runEnd += empty * clusterSize
    }
    // With subclusters, `reuse` stays inside its cluster.
    if (!(extended && kind === 'reuse')) {
      while (runEnd < end && runEnd === (cluster + 1) * clusterSize) {
        cluster++
        const next = this.#classify(slice, inSlice + cluster - first, cluster, runEnd)
        if (this.#entryKind !== kind) break
        if (kind === 'in-place' && this.#entryHost !== host + (runEnd - at)) break
        if (kind === 'reuse' && this.#entryHost !== host + (cluster - first) * clusterSize) break
        runEnd = next
      }
    }
    this.kind = kind
    this.host = host
    this.end = Math.min(runEnd, end)
    if (kind === 'in-place') return
    const lastCluster = Math.ceil(this.end / clusterSize) - 1
    if (!extended) {
      this.cowStart = first * clusterSize
      this.cowEnd = (lastCluster + 1) * clusterSize
    } else {
      this.cowStart = this.#cowStart(slice, inSlice, first, at)
      this.cowEnd = this.#cowEnd(slice, inSlice + lastCluster - first, lastCluster, this.end)
    }
  }

  /** Classifies one cluster from `at` on; returns where the part that is alike ends. */
  #classify(slice: TableEntry, inSlice: number, cluster: number, at: number): number {
    const { mapper, context, geometry, externalData } = this.#image
    const hi = slice.view.getUint32(inSlice * geometry.l2EntrySize)
    const lo = slice.view.getUint32(inSlice * geometry.l2EntrySize + 4)
    const clusterSize = this.#clusterSize
    const clusterEnd = (cluster + 1) * clusterSize
    if (hi === 0 && lo === 0 && !geometry.extendedL2) {
      // Nothing is there, and nothing can be wrong with it: new images are made of this.
      this.#entryKind = 'allocate'
      return clusterEnd
    }
    mapper.assertValid(slice, inSlice, cluster)
    const kind = classifyCluster(context, hi, lo)
    this.#entryKind = 'allocate'
    // What is in a data file is always ours alone.
    if ((kind !== 'normal' && kind !== 'zero-alloc') || !(externalData || l2Copied(hi))) return clusterEnd
    const host = l2HostOffset(hi, lo)
    const inCluster = at - cluster * clusterSize
    if (geometry.extendedL2) {
      const allocated = subclustersAllocated(slice.view, inSlice)
      const sub = Math.floor(inCluster / this.#subclusterSize)
      const isAllocated = ((allocated >>> sub) & 1) === 1
      let run = sub + 1
      while (run < 32 && (((allocated >>> run) & 1) === 1) === isAllocated) run++
      this.#entryKind = isAllocated ? 'in-place' : 'reuse'
      this.#entryHost = isAllocated ? host + inCluster : host
      return cluster * clusterSize + run * this.#subclusterSize
    }
    this.#entryKind = kind === 'normal' ? 'in-place' : 'reuse'
    this.#entryHost = kind === 'normal' ? host + inCluster : host
    return clusterEnd
  }

  /** Where copying starts so that everything the old cluster holds before `at` is in the new one. */
  #cowStart(slice: TableEntry, inSlice: number, cluster: number, at: number): number {
    const start = cluster * this.#clusterSize
    const aligned = at - (at % this.#subclusterSize)
    if (this.kind === 'reuse') return aligned
    const held = this.#held(slice, inSlice)
    return held === 0 ? aligned : Math.min(aligned, start + (31 - Math.clz32(held & -held)) * this.#subclusterSize)
  }

  #cowEnd(slice: TableEntry, inSlice: number, cluster: number, end: number): number {
    const start = cluster * this.#clusterSize
    const aligned = Math.ceil(end / this.#subclusterSize) * this.#subclusterSize
    if (this.kind === 'reuse') return aligned
    const held = this.#held(slice, inSlice)
    return held === 0 ? aligned : Math.max(aligned, start + (32 - Math.clz32(held)) * this.#subclusterSize)
  }

  /** The subclusters whose data is in the old host cluster. */
  #held(slice: TableEntry, inSlice: number): number {
    const kind = classifyCluster(this.#image.context, slice.view.getUint32(inSlice * 16), slice.view.getUint32(inSlice * 16 + 4))
    if (kind === 'compressed') return 0xffff_ffff
    return kind === 'normal' ? subclustersAllocated(slice.view, inSlice) : 0
  }
}
