import { BlockError, type ChildHandle } from '@blockloom/block-driver'
import { DirtyBatch } from './dirty-batch.ts'
import { TableEntry, UNSEEN } from './table-entry.ts'
import { WriteOrder } from './write-order.ts'

/** Dirty ranges are written in units of this, or of the whole entry if that is smaller. */
const WRITE_UNIT = 4096

/** @public */
export interface TableCacheInit {
  /** Where the tables are. */
  readonly child: ChildHandle
  /** Bytes of every entry; offsets are multiples of it in no particular way, but never overlap. */
  readonly entrySize: number
  /** Budget in bytes; at least two entries are allowed. Pinned and new entries may exceed it for a while. */
  readonly maxBytes: number
  /**
   * Called when an entry is needed and all are dirty; makes some clean, or rejects. Default: {@link TableCache.writeBack}.
   */
  readonly relieve?: () => Promise<void>
}

/** Counters since the cache was made; `bytes`, `entries` and `dirty` are of this moment. @public */
export interface TableCacheStats {
  readonly entries: number
  readonly bytes: number
  readonly dirty: number
  readonly loads: number
  readonly evictions: number
  readonly bytesWritten: number
}

/**
 * A write-back cache of metadata tables, keyed by their offset in a child.
 *
 * A hit is synchronous: {@link peek} returns the entry itself. {@link load} reads a table once for all who wait for
 * it. Memory follows use up to the budget; the entries that were not looked at for longest go first. Changes are
 * written by {@link writeBack} from copies, so entries can go on changing meanwhile; a failed write leaves the entry
 * dirty.
 *
 * Order after a crash: what must be on stable storage before this cache's changes is declared with
 * {@link dependsOn} and {@link dependsOnFlush}. A write-back first takes its copies, then has the others written and
 * flushed, then writes: so whatever the copies rely on was changed before and is included. Formats with an order of
 * their own use {@link takeDirty}.
 *
 * @example
 * ```ts
 * const refcounts = new TableCache({ child, entrySize: 65536, maxBytes: 1 << 20 })
 * const tables = new TableCache({ child, entrySize: 65536, maxBytes: 32 << 20 })
 * const entry = tables.peek(offset) ?? (await tables.load(offset))
 * entry.view.setUint32(0, 42)
 * tables.markDirty(entry, 0, 4)
 * tables.dependsOn(refcounts) // on disk, the table changes after the refcounts
 * await tables.flush()
 * ```
 *
 * @public
 */
export class TableCache {
  readonly child: ChildHandle
  readonly entrySize: number
  readonly maxBytes: number
  readonly #entries = new Map<number, TableEntry>()
  readonly #loading = new Map<number, Loading>()
  readonly #dirty = new Set<TableEntry>()
  readonly #order = new WriteOrder<TableCache>()
  readonly #relieve: () => Promise<void>
  #batch: DirtyBatch | undefined
  #writeBack: Promise<void> | undefined
  #nextWriteBack: Promise<void> | undefined
  #reserved = 0
  #loads = 0
  #evictions = 0
  #bytesWritten = 0

  constructor(init: TableCacheInit) {
    this.child = init.child
    this.entrySize = init.entrySize
    this.maxBytes = Math.max(init.maxBytes, 2 * init.entrySize)
    this.#relieve = init.relieve ?? (() => this.writeBack())
  }

  get stats(): TableCacheStats {
    return {
      entries: this.#entries.size,
      bytes: this.#entries.size * this.entrySize,
      dirty: this.#dirty.size,
      loads: this.#loads,
      evictions: this.#evictions,
      bytesWritten: this.#bytesWritten,
    }
  }

  /** Bytes of entries that have unwritten changes. */
  get dirtyBytes(): number {
    return this.#dirty.size * this.entrySize
  }

  /** The entry at `offset` if it is in memory. It stays in memory until the next await of the caller at least. */
  peek(offset: number): TableEntry | undefined {
    const entry = this.#entries.get(offset)
    if (entry !== undefined) entry.unseen = UNSEEN.BY_ALL
    return entry
  }

  /**
   * The entry at `offset`, read from the child if need be, and pinned: call {@link unpin} when done.
   *
   * @throws what the child's read throws, or what made it impossible to write other entries back to make room;
   * nothing is cached then
   */
  async load(offset: number): Promise<TableEntry> {
    const entry = this.#entries.get(offset)
    if (entry !== undefined) {
      entry.unseen = UNSEEN.BY_ALL
      entry.pins++
      return entry
    }
    let loading = this.#loading.get(offset)
    if (loading === undefined) {
      const begun: Loading = { waiters: 0, entry: NOT_BEGUN }
      begun.entry = this.#read(offset, begun)
      this.#loading.set(offset, begun)
      loading = begun
    }
    loading.waiters++
    return loading.entry
  }

  /** Takes back a pin of {@link load} or {@link pin}. */
  unpin(entry: TableEntry): void {
    entry.pins--
  }

  /** Keeps an entry in memory until {@link unpin}. */
  pin(entry: TableEntry): void {
    entry.pins++
  }

  /**
   * A new table of zeroes at `offset`, dirty as a whole. Whatever was cached there is dropped. Call {@link reserve}
   * before, so that the budget holds.
   */
  create(offset: number): TableEntry {
    this.drop(offset)
    const entry = new TableEntry(offset, new Uint8Array(this.entrySize))
    this.#entries.set(offset, entry)
    this.markDirty(entry)
    return entry
  }

  /** Makes room for one more entry; `undefined` if there is room already, or nothing that could be evicted. */
  reserve(): Promise<void> | undefined {
    return this.#hasRoom() || this.#evictOne() || this.#allPinned() ? undefined : this.#relieve()
  }

  /** Bytes `from` … `from + bytes` of an entry have changed. */
  markDirty(entry: TableEntry, from = 0, bytes = this.entrySize - from): void {
    if (!entry.dropped) this.#changed(entry, from, from + bytes)
  }

  /** Forgets the table at `offset` with its changes: it was freed. A copy that is being written may still arrive. */
  drop(offset: number): void {
    const entry = this.#entries.get(offset)
    if (entry === undefined) return
    entry.dropped = true
    this.#entries.delete(offset)
    this.#dirty.delete(entry)
  }

  /** Forgets all clean entries that nobody holds, for example because another program changed the file. */
  invalidate(): void {
    for (const [offset, entry] of this.#entries) if (this.#evictable(entry)) this.#entries.delete(offset)
  }

  /**
   * Forgets the clean entries that nobody holds and nobody has looked at since the last call. Called in intervals, it
   * makes memory follow use; it reads and writes nothing.
   *
   * @returns how many entries were forgotten
   */
  dropUnused(): number {
    let dropped = 0
    for (const [offset, entry] of this.#entries) {
      if ((entry.unseen & UNSEEN.BY_CLEANING) === 0 && this.#evictable(entry)) {
        this.#entries.delete(offset)
        dropped++
      }
      entry.unseen &= ~UNSEEN.BY_CLEANING
    }
    this.#evictions += dropped
    return dropped
  }

  /** This cache's changes so far and until the next write-back are written only after `other`'s, and a stable flush. */
  dependsOn(other: TableCache): void {
    if (other === this || other.#order.reaches(this, (cache) => cache.#order)) {
      throw new BlockError('invalid', 'Two table caches cannot wait for each other')
    }
    this.#order.after(other, other.child)
  }

  /** This cache's changes so far and until the next write-back are written only after a stable flush of `child`. */
  dependsOnFlush(child: ChildHandle = this.child): void {
    this.#order.afterFlush(child)
  }

  /**
   * Copies everything dirty and marks it clean. For formats that order their writes themselves.
   *
   * @throws BlockError `busy` while another batch of this cache is not finished
   */
  takeDirty(): DirtyBatch {
    if (this.#batch !== undefined) throw new BlockError('busy', 'A batch of this table cache is being written')
    const owner = {
      child: this.child,
      changed: (entry: TableEntry, from: number, to: number) => this.#changed(entry, from, to),
      done: (_batch: DirtyBatch, written: number) => {
        this.#bytesWritten += written
        this.#batch = undefined
      },
    }
    const batch = new DirtyBatch(owner, this.#dirty, Math.min(WRITE_UNIT, this.entrySize))
    this.#dirty.clear()
    this.#batch = batch
    return batch
  }

  /**
   * Writes what is dirty now, after what it depends on. Does not flush the child afterwards.
   *
   * After a failure everything unwritten is dirty again and its dependencies are kept.
   */
  writeBack(): Promise<void> {
    if (this.#writeBack === undefined) {
      this.#writeBack = this.#writeNow().finally(() => {
        this.#writeBack = undefined
      })
      return this.#writeBack
    }
    // The running one may have taken its copies before the caller's changes.
    this.#nextWriteBack ??= this.#writeBack.then(ignore, ignore).then(() => {
      this.#nextWriteBack = undefined
      return this.writeBack()
    })
    return this.#nextWriteBack
  }

  /** {@link writeBack}, then a stable flush of the child. */
  async flush(): Promise<void> {
    await this.writeBack()
    await this.child.flush('stable')
  }

  async #writeNow(): Promise<void> {
    const batch = this.takeDirty()
    if (batch.empty) {
      batch.restore()
      return
    }
    const taken = this.#order.take()
    try {
      for (const cache of taken.caches) await cache.writeBack()
      await Promise.all([...taken.flushes].map((child) => child.flush('stable')))
    } catch (error) {
      this.#order.restore(taken)
      batch.restore()
      throw error
    }
    await batch.write()
  }

  async #read(offset: number, loading: Loading): Promise<TableEntry> {
    // So that the caller has counted itself before anything can be finished.
    await Promise.resolve()
    let reserved = false
    try {
      while (!this.#hasRoom() && !this.#evictOne() && !this.#allPinned()) await this.#relieve()
      this.#reserved++
      reserved = true
      this.#loads++
      const read = new TableEntry(offset, new Uint8Array(this.entrySize))
      await this.child.read(offset, read.bytes)
      // Created meanwhile: what was read is older.
      const entry = this.#entries.get(offset) ?? read
      this.#entries.set(offset, entry)
      // All who wait hold it from now on; otherwise it could be gone before their turn.
      entry.pins += loading.waiters
      return entry
    } finally {
      if (reserved) this.#reserved--
      this.#loading.delete(offset)
    }
  }

  #hasRoom(): boolean {
    return (this.#entries.size + this.#reserved + 1) * this.entrySize <= this.maxBytes
  }

  /** Nothing would become clean by writing: the budget is exceeded until the holders are done. */
  #allPinned(): boolean {
    return this.#dirty.size === 0 && this.#batch === undefined
  }

  #evictable(entry: TableEntry): boolean {
    return entry.pins === 0 && entry.writing === 0 && !entry.dirty
  }

  /** Second chance: an entry that was looked at since the last scan goes to the end of the line once. */
  #evictOne(): boolean {
    let left = 2 * this.#entries.size
    for (const [offset, entry] of this.#entries) {
      if (left-- === 0) break
      if (this.#evictable(entry) && (entry.unseen & UNSEEN.BY_EVICTION) === 0) {
        this.#entries.delete(offset)
        this.#evictions++
        // Nobody may look at it any more: its memory is needed now, not when the collector comes.
        entry.bytes.buffer.transfer(0)
        return true
      }
      entry.unseen &= ~UNSEEN.BY_EVICTION
      this.#entries.delete(offset)
      this.#entries.set(offset, entry)
    }
    return false
  }

  #changed(entry: TableEntry, from: number, to: number): void {
    entry.dirtyFrom = Math.min(entry.dirtyFrom, from)
    entry.dirtyTo = Math.max(entry.dirtyTo, to)
    this.#dirty.add(entry)
  }
}

/** A read that is under way, for all who wait for it. */
interface Loading {
  waiters: number
  entry: Promise<TableEntry>
}

const NOT_BEGUN: Promise<TableEntry> = new Promise(() => {})

const ignore = (): void => {}
