import { CoMutex } from '@blockloom/coroutine-scheduler'
import { TableCache } from '@blockloom/driver-kit'
import { Allocator } from './allocator.ts'
import { cacheSizes } from './cache-sizes.ts'
import { commit } from './commit.ts'
import { Committer } from './committer.ts'
import { clearAutoclear } from './autoclear.ts'
import { Gate } from './gate.ts'
import { Grace } from './grace.ts'
import type { Qcow2Image } from './image.ts'
import { InFlight } from './in-flight.ts'
import { Overlap } from './overlap/overlap.ts'
import { PendingFrees, type PendingFree } from './pending-frees.ts'
import { growRefcountTable } from './refcount-growth.ts'
import { Refcounts } from './refcounts.ts'
import { release } from './release.ts'
import type { SnapshotStore } from './snapshot-store.ts'
import { WritePlanner } from './write-planner.ts'

/** Commits whose dropped clusters may still be waiting to become free when somebody begins to write. */
const MOST_WAITING = 1

/**
 * What an image that is open for writing has besides: the refcounts, and the changes that are under way.
 *
 * Order of locks: the gate before a flight; a flight of `inFlight` before `structure`; nothing is waited for inside `structure` except I/O.
 *
 * @internal
 */
export class Qcow2Writer {
  readonly image: Qcow2Image
  readonly refcounts: Refcounts
  readonly overlap: Overlap
  readonly allocator: Allocator
  readonly planner: WritePlanner
  readonly inFlight = new InFlight()
  readonly frees = new PendingFrees()
  readonly grace = new Grace()
  /** Guest requests start here; closed while a snapshot is taken, reverted to or removed. */
  readonly gate = new Gate()
  readonly committer: Committer
  /** Held by commits and by those who move the L1 or refcount table. */
  readonly structure = new CoMutex()
  /** L2 tables that are being allocated, by L1 index. */
  readonly tablesUnderWay = new Map<number, Promise<void>>()
  /** The first change may begin: nothing in the header claims what it would make untrue. */
  ready = false
  #preparing: Promise<void> | undefined
  #growing: Promise<void> | undefined
  #freeing: Promise<void> = Promise.resolve()
  #toFree = 0

  constructor(image: Qcow2Image, refcountTable: Uint8Array, fileSize: number, snapshots: SnapshotStore) {
    const { geometry, file, header, corruption } = image
    const sizes = cacheSizes(image.options, geometry, header.size)
    this.image = image
    this.committer = new Committer((stable, lazy) => commit(this, stable, lazy))
    const cache = new TableCache({
      child: file,
      entrySize: sizes.refcountEntryBytes,
      maxBytes: sizes.refcountBytes,
      relieve: () => this.committer.run(false),
    })
    this.refcounts = new Refcounts({ geometry, file, corruption, tableOffset: header.refcountTableOffset, table: refcountTable, cache })
    const overlap = new Overlap(image, this.refcounts, snapshots)
    this.overlap = overlap
    this.refcounts.overlap = overlap
    this.allocator = new Allocator({
      geometry,
      refcounts: this.refcounts,
      overlap: this.overlap,
      virginFrom: file.zeroInit ? fileSize : Infinity,
      growTable: () => this.growTable(),
    })
    this.planner = new WritePlanner(image)
  }

  /** Before the first change, and when tables have moved: see autoclear.ts and overlap.ts. */
  prepare(): Promise<void> {
    this.#preparing ??= clearAutoclear(this)
      .then(() => this.overlap.learn())
      .then(() => {
        this.ready = true
      })
      .finally(() => {
        this.#preparing = undefined
      })
    return this.#preparing
  }

  /** Writes metadata in the background when half of the cache has changes, so that nobody has to wait for room. */
  relieveEarly(): void {
    const { l2Cache } = this.image
    if (l2Cache.dirtyBytes * 2 > l2Cache.maxBytes && !this.committer.busy) this.committer.run(false, true).catch(() => {})
  }

  /** The tables that dropped these clusters are stable. */
  freeLater(dropped: readonly PendingFree[]): void {
    if (dropped.length === 0) return
    const passed = this.grace.passed()
    this.#toFree++
    this.#freeing = this.#freeing
      .then(() => passed)
      .then(() => release(this, dropped))
      .catch((error: unknown) => this.image.warn(`Clusters leaked: ${error instanceof Error ? error.message : String(error)}`))
      .finally(() => {
        this.#toFree--
      })
  }

  /** Clusters that nothing on disk points to any more are still counted as used. */
  get isFreeing(): boolean {
    return this.#toFree > 0
  }

  /**
   * Clusters are dropped faster than they become free: whoever takes new ones waits for {@link freed} first, before it is
   * inside `grace`, or the file would grow as long as that goes on.
   */
  get isLagging(): boolean {
    return this.#toFree > MOST_WAITING
  }

  /** What was dropped so far is free, or leaked. */
  freed(): Promise<void> {
    return this.#freeing
  }

  /** Writes everything, until nothing is left to be freed. */
  async settle(): Promise<void> {
    do {
      await this.committer.run(false)
      await this.#freeing
    } while (this.hasChanges)
  }

  /** Something in memory is not on disk. */
  get hasChanges(): boolean {
    const { l1, l2Cache } = this.image
    return !this.frees.empty || l1.dirty || this.refcounts.tableDirty || l2Cache.dirtyBytes > 0 || this.refcounts.cache.dirtyBytes > 0
  }

  /** Makes the refcount table larger; all who need that share the work. */
  growTable(): Promise<void> {
    this.#growing ??= growRefcountTable(this).finally(() => {
      this.#growing = undefined
    })
    return this.#growing
  }
}
