import { BlockError, type BitmapFacet, type Limits, type StoredBitmap } from '@blockloom/block-driver'
import { HBitmap } from '@blockloom/hbitmap'
import { alreadyExists, checkGranularity, checkName, checkNameLength, defaultGranularity, inconsistent, notFound } from './bitmap-rules.ts'
import { DirtyBitmap, type BitmapOwner } from './dirty-bitmap.ts'
import { StoredBitmaps } from './stored-bitmaps.ts'
import type { WriteRecorder } from './write-recorder.ts'

/** A bitmap to be added to a node. @public */
export interface NewDirtyBitmap {
  /** Unique in the node, at most 1023 bytes of UTF-8. Without a name it belongs to whoever adds it: it is in no list. */
  readonly name?: string
  /** Bytes for each bit: a power of two, 512 to 2 GiB. Default: the cluster size, at least 4 KiB and at most 64 KiB. */
  readonly granularity?: number
  /** Stored in the image when the node closes. Default false. */
  readonly persistent?: boolean
  /** Records changes from now on. Default true. */
  readonly enabled?: boolean
}

/** What the bitmaps need of their node. @internal */
export interface BitmapHost {
  readonly name: string
  readonly size: number
  readonly readOnly: boolean
  readonly closed: boolean
  readonly limits: Limits
  readonly requests: { recorder: WriteRecorder | null }
  /** Runs with no request in flight. */
  drained<T>(work: () => Promise<T>): Promise<T>
}

/**
 * The dirty bitmaps of a node.
 *
 * A node that can be written loads the bitmaps of its image when it is opened, and stores them when it closes: all of them
 * in one step, if anything changed. If the process ends before, they are inconsistent in the image, because it does not
 * know what was written. A read-only node, and one that is opened to be repaired, loads one when it is asked for.
 *
 * @public
 */
export class DirtyBitmaps implements Iterable<DirtyBitmap> {
  readonly #host: BitmapHost
  readonly #stored: StoredBitmaps
  readonly #owner: BitmapOwner
  readonly #recorder: WriteRecorder
  readonly #named = new Map<string, DirtyBitmap>()
  readonly #anonymous = new Set<DirtyBitmap>()
  readonly #loading = new Map<DirtyBitmap, Promise<void>>()
  #recording: DirtyBitmap[] = []
  /** The disk may have changed since the bitmaps of the image were right; its driver marks them as not to be trusted then. */
  #touched = false
  /** Guests changed the disk. */
  #written = false
  /** Why the bitmaps of the image cannot be listed; that does no harm to who only reads its disk. */
  #broken: unknown = null

  /** @internal */
  constructor(host: BitmapHost, facet: BitmapFacet | undefined) {
    this.#host = host
    this.#stored = new StoredBitmaps(host.name, facet)
    this.#owner = {
      isReadOnly: () => host.readOnly,
      assertOpen: () => this.#assertOpen(),
      load: (bitmap) => this.#load(bitmap),
      recordingChanged: () => this.#refresh(),
    }
    this.#recorder = {
      changed: (offset, bytes) => this.#changed(offset, bytes),
      touched: () => void (this.#touched = true),
      resized: (size) => this.#resized(size),
      assertResizable: () => {
        for (const bitmap of this.#named.values()) bitmap.assertWritable()
      },
    }
    try {
      for (const stored of this.#stored.list) this.#addFromImage(stored)
    } catch (error) {
      if (!host.readOnly) throw error
      this.#broken = error
    }
    this.#refresh()
  }

  /** Those with names: first the image's, in its order, then in the order of adding. @throws BlockError `corrupt` if the image lists them wrongly */
  get list(): readonly DirtyBitmap[] {
    this.#assertListed()
    return [...this.#named.values()]
  }

  [Symbol.iterator](): IterableIterator<DirtyBitmap> {
    return this.list[Symbol.iterator]()
  }

  /** Persistent bitmaps can be added: the format stores them, and the image is open for writing. */
  get storable(): boolean {
    return !this.#host.readOnly && this.#stored.writable
  }

  /** The bitmap of that name, or undefined. @throws BlockError `corrupt` as {@link DirtyBitmaps.list} */
  find(name: string): DirtyBitmap | undefined {
    this.#assertListed()
    return this.#named.get(name)
  }

  /** @throws BlockError `not-found`; `corrupt` as {@link DirtyBitmaps.list} */
  get(name: string): DirtyBitmap {
    const bitmap = this.find(name)
    if (bitmap === undefined) throw notFound(name)
    return bitmap
  }

  /** The bitmap of that name, its contents in memory. @throws BlockError `not-found`; `corrupt` if it is inconsistent or damaged */
  async load(name: string): Promise<DirtyBitmap> {
    return this.get(name).load()
  }

  /**
   * Adds a clean bitmap.
   *
   * @throws BlockError `exists`; `invalid` for a name or granularity that cannot be; `unsupported` or `read-only` if a
   * persistent one cannot be stored here
   */
  add(bitmap: NewDirtyBitmap): DirtyBitmap {
    this.#assertOpen()
    const { name, persistent = false, enabled = true, granularity = defaultGranularity(this.#host.limits.clusterSize) } = bitmap
    if (name !== undefined) checkName(name)
    checkGranularity(granularity)
    if (name !== undefined && this.#named.has(name)) throw alreadyExists(name)
    if (persistent) this.#assertStorable(name, granularity)
    if (name !== undefined) checkNameLength(name)
    const bits = new HBitmap({ size: this.#host.size, granularity })
    const added = new DirtyBitmap(this.#owner, { name: name ?? '', granularity, persistent, enabled, bits })
    if (name === undefined) this.#anonymous.add(added)
    else this.#named.set(name, added)
    this.#refresh()
    return added
  }

  /** Removes a bitmap, also from the image, also an inconsistent one. @throws BlockError `not-found`, `busy`, `read-only` */
  async remove(which: string | DirtyBitmap): Promise<void> {
    const bitmap = this.#resolve(which)
    bitmap.assertRemovable()
    if (bitmap.persistent && this.#stored.find(bitmap.name) !== undefined) {
      await bitmap.whileBusy(() => this.#stored.remove(bitmap.name))
    }
    this.#drop(bitmap)
    this.#refresh()
  }

  /**
   * Marks everything dirty in `target` that is dirty in one of `sources`: bitmaps of this node by name, or of any node of
   * the same size. Granularities may differ; a coarser target rounds outward. All of them are merged, or none.
   *
   * @throws BlockError `not-found`, `busy`, `read-only`, `corrupt` for one that is inconsistent, `invalid` for different sizes
   */
  async merge(target: string | DirtyBitmap, sources: readonly (string | DirtyBitmap)[]): Promise<void> {
    const into = this.#resolve(target)
    const checked = (): DirtyBitmap[] =>
      sources.map((source) => {
        const from = typeof source === 'string' ? this.get(source) : source
        into.assertMergeable(from)
        return from
      })
    for (const source of checked()) if (!source.loaded) await source.load()
    // Again, because of the wait; from here on nothing can fail.
    for (const source of checked()) into.absorb(source)
  }

  /** Loads the bitmaps of the image, for a node that is going to be written. @internal */
  async loadAll(): Promise<void> {
    for (const bitmap of this.#named.values()) if (!bitmap.inconsistent) await this.#read(bitmap)
    this.#refresh()
  }

  /** Makes the image's bitmaps right, if anything changed. The caller has drained. @internal */
  async storeAll(): Promise<void> {
    if (!this.storable) return
    // In an image that is being repaired nothing is loaded, and what is stored stays as the repair leaves it.
    const all = this.list.filter(({ persistent, loaded }) => persistent && loaded)
    if (all.length === 0 || !(this.#touched || all.some(({ unsaved }) => unsaved))) return
    await this.#stored.store(all)
    this.#touched = false
  }

  /** Somebody changes these in the image, past this collection: takes what it says then. @internal */
  async reread(names: readonly string[], change: () => Promise<void>): Promise<void> {
    await this.#host.drained(async () => {
      await change()
      for (const name of names) {
        const old = this.#named.get(name)
        if (old?.persistent) this.#drop(old)
        const stored = this.#stored.find(name)
        if (stored !== undefined && !this.#named.has(name)) await this.#read(this.#addFromImage(stored))
      }
      this.#refresh()
    })
  }

  /** The image was changed beside its requests: bitmaps that it has lost are lost. @internal */
  follow(): void {
    if (this.#broken !== null || this.#named.size === 0) return
    const left = new Set(this.#stored.list.map(({ name }) => name))
    for (const bitmap of this.#named.values()) if (bitmap.stored && !left.has(bitmap.name)) this.#drop(bitmap)
    this.#refresh()
  }

  /** @throws BlockError `busy` if there is a bitmap, which could not follow a change of everything @internal */
  assertNone(): void {
    if (this.#named.size === 0 && this.#anonymous.size === 0) return
    throw new BlockError('busy', 'Device has active dirty bitmaps', { detail: { node: this.#host.name } })
  }

  #addFromImage(stored: StoredBitmap): DirtyBitmap {
    const { name, granularity, auto } = stored
    const bitmap = new DirtyBitmap(this.#owner, { name, granularity, persistent: true, enabled: auto, bits: null, stored })
    this.#named.set(name, bitmap)
    return bitmap
  }

  #load(bitmap: DirtyBitmap): Promise<void> {
    const running = this.#loading.get(bitmap)
    if (running !== undefined) return running
    const { readOnly } = this.#host
    const loading = (readOnly ? this.#read(bitmap) : this.#host.drained(() => this.#readUnwritten(bitmap))).finally(() => this.#loading.delete(bitmap))
    this.#loading.set(bitmap, loading)
    return loading
  }

  /** What was written before is not in it. */
  async #readUnwritten(bitmap: DirtyBitmap): Promise<void> {
    if (this.#written) throw inconsistent(bitmap.name)
    await this.#read(bitmap)
    this.#refresh()
  }

  async #read(bitmap: DirtyBitmap): Promise<void> {
    this.#assertOpen()
    bitmap.fill(await this.#stored.read(bitmap, this.#host.size))
  }

  #assertStorable(name: string | undefined, granularity: number): void {
    const { name: node, readOnly } = this.#host
    if (name === undefined) throw new BlockError('invalid', 'A persistent bitmap needs a name', { detail: { option: 'name' } })
    if (readOnly) throw new BlockError('read-only', `Block node '${node}' is read-only`, { detail: { node } })
    this.#stored.assertStorable(name, granularity)
  }

  #resolve(which: string | DirtyBitmap): DirtyBitmap {
    if (typeof which === 'string') return this.get(which)
    if (which.owner !== this.#owner) throw notFound(which.name)
    return which
  }

  #drop(bitmap: DirtyBitmap): void {
    bitmap.markRemoved()
    this.#anonymous.delete(bitmap)
    if (this.#named.get(bitmap.name) === bitmap) this.#named.delete(bitmap.name)
  }

  /** The pipeline of a node without bitmaps is told that there is nobody to tell. */
  #refresh(): void {
    const all = [...this.#named.values(), ...this.#anonymous]
    this.#recording = all.filter((bitmap) => bitmap.enabled && bitmap.loaded)
    this.#host.requests.recorder = all.length > 0 && !this.#host.readOnly ? this.#recorder : null
  }

  #changed(offset: number, bytes: number): void {
    this.#touched = this.#written = true
    for (const bitmap of this.#recording) bitmap.record(offset, bytes)
  }

  #resized(size: number): void {
    this.#touched = this.#written = true
    for (const bitmap of this.#named.values()) bitmap.truncate(size)
    for (const bitmap of this.#anonymous) bitmap.truncate(size)
  }

  #assertListed(): void {
    if (this.#broken !== null) throw this.#broken
  }

  #assertOpen(): void {
    const { name, closed } = this.#host
    if (closed) throw new BlockError('closed', `Block node '${name}' is closed`, { detail: { node: name } })
  }
}
