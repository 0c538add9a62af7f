import type { StoredBitmap } from '@blockloom/block-driver'
import { HBitmap, type DirtyArea, type DirtyAreasOptions, type DirtyStatus } from '@blockloom/hbitmap'
import { busy, differentSizes, inconsistent, notFound, notLoaded, readOnly } from './bitmap-rules.ts'
import { FrozenBits } from './frozen-bits.ts'

/** The collection that a bitmap is in. @internal */
export interface BitmapOwner {
  /** Stored bitmaps stay as they are. */
  isReadOnly(): boolean
  /** @throws BlockError `closed` */
  assertOpen(): void
  load(bitmap: DirtyBitmap): Promise<void>
  /** A bitmap was enabled or disabled. */
  recordingChanged(): void
}

/**
 * Which bytes of a node may have changed since the bitmap was made or last cleared, at some granularity. Offsets and
 * lengths are bytes of the disk.
 *
 * An enabled bitmap records every write, zeroing and discard, also one that failed, when the request ends. Growing the
 * disk adds clean bytes, shrinking it forgets.
 *
 * Methods that read contents throw `invalid` while it is not {@link DirtyBitmap.loaded}, and `corrupt` if it is
 * {@link DirtyBitmap.inconsistent}; methods that change it throw `busy` while an operation holds it, `read-only` for a
 * stored bitmap of a read-only node, `not-found` once it is removed.
 *
 * @public
 */
export class DirtyBitmap {
  /** Unique in its node; empty for one that was added without a name. */
  readonly name: string
  /** Bytes for each bit, a power of two. */
  readonly granularity: number
  /** It is stored in the image when the node closes. */
  readonly persistent: boolean
  /** It was not stored cleanly, so its contents cannot be trusted: all that can be done is to remove it. */
  readonly inconsistent: boolean
  readonly #owner: BitmapOwner
  #enabled: boolean
  #bits: HBitmap | null
  /** Set aside by {@link DirtyBitmap.freeze}. */
  #frozen: HBitmap | null = null
  #busy = false
  #removed = false
  /** Contents differ from what is stored. */
  #changed = false
  /** The flag as it is stored; null: it is not in the image. */
  #storedAuto: boolean | null

  /** @internal */
  constructor(owner: BitmapOwner, init: { name: string; granularity: number; persistent: boolean; enabled: boolean; bits: HBitmap | null; stored?: StoredBitmap }) {
    this.#owner = owner
    this.name = init.name
    this.granularity = init.granularity
    this.persistent = init.persistent
    this.#enabled = init.enabled
    this.#bits = init.bits
    this.inconsistent = init.stored?.inconsistent ?? false
    this.#storedAuto = init.stored?.auto ?? null
  }

  /** It records changes of the disk. */
  get enabled(): boolean {
    return this.#enabled
  }

  /** An operation holds it. */
  get busy(): boolean {
    return this.#busy
  }

  /** Its contents are in memory. Always true in a node that can be written, except for inconsistent ones. */
  get loaded(): boolean {
    return this.#bits !== null
  }

  /** Bytes of the disk. */
  get size(): number {
    return this.#contents().size
  }

  /** Dirty bytes; a partial last granule counts what it covers. */
  get dirtyBytes(): number {
    return this.#contents().dirtyBytes
  }

  /** Dirty granules. */
  get count(): number {
    return this.#contents().count
  }

  /** Nothing is dirty. */
  get isEmpty(): boolean {
    return this.#contents().isEmpty
  }

  /** True when the granule that holds byte `offset` is dirty. @throws RangeError beyond the disk */
  get(offset: number): boolean {
    return this.#contents().get(offset)
  }

  /** Whether byte `offset` is dirty, and for how many bytes, at most `bytes`, that holds. @throws RangeError beyond the disk */
  status(offset: number, bytes: number): DirtyStatus {
    return this.#contents().status(offset, bytes)
  }

  /** The first dirty byte in a range, or null. Without `bytes` it looks up to the end. */
  nextDirty(offset: number, bytes?: number): number | null {
    return this.#contents().nextDirty(offset, bytes)
  }

  /** The first clean byte in a range, or null. */
  nextClean(offset: number, bytes?: number): number | null {
    return this.#contents().nextZero(offset, bytes)
  }

  /** The first dirty bytes in `start` … `end`, as many as follow one another but at most `maxBytes`, or null. */
  nextDirtyArea(start: number, end?: number, maxBytes?: number): DirtyArea | null {
    return this.#contents().nextDirtyArea(start, end, maxBytes)
  }

  /** The dirty areas in ascending order. Writes may come in between: what they dirty ahead is seen. */
  *dirtyAreas(options: DirtyAreasOptions = {}): Generator<DirtyArea, void, void> {
    let start = options.start ?? 0
    for (;;) {
      // The bits may be others at each step: clearing and freezing change them.
      const area = this.#contents().nextDirtyArea(start, options.end, options.maxBytes)
      if (area === null) return
      start = area.offset + area.bytes
      yield area
    }
  }

  /** Records changes from now on. */
  enable(): void {
    this.#setEnabled(true)
  }

  /** Records nothing from now on. */
  disable(): void {
    this.#setEnabled(false)
  }

  /** Marks everything clean. */
  clear(): void {
    this.#changeable().clear()
    this.#changed = true
  }

  /** Marks a range dirty: every granule that it touches. @throws RangeError beyond the disk */
  set(offset: number, bytes: number): void {
    this.#changeable().set(offset, bytes)
    this.#changed = true
  }

  /** Marks a range clean: every granule that lies inside it. @throws RangeError beyond the disk */
  reset(offset: number, bytes: number): void {
    this.#changeable().reset(offset, bytes)
    this.#changed = true
  }

  /**
   * Sets the contents aside for an operation that works them off, and goes on recording from nothing. Until the operation
   * drops or restores them the bitmap is busy, and shows only what was recorded since. If the node closes before, all of
   * it is stored.
   */
  freeze(): FrozenBits {
    const frozen = this.#changeable()
    this.#bits = new HBitmap({ size: frozen.size, granularity: frozen.granularity })
    this.#frozen = frozen
    this.#busy = true
    const thaw = (restore: boolean): void => {
      this.#frozen = null
      this.#busy = false
      this.#changed = true
      if (restore) this.#bits!.merge(frozen)
    }
    return new FrozenBits(frozen, thaw)
  }

  /** Reads the contents from the image, if they are not in memory. @throws BlockError `corrupt` if it is inconsistent or damaged */
  async load(): Promise<this> {
    this.assertReadable()
    if (this.#bits === null) await this.#owner.load(this)
    return this
  }

  /** @internal */
  fill(bits: HBitmap): void {
    this.#bits = bits
  }

  /** @internal */
  markRemoved(): void {
    this.#removed = true
    this.#busy = false
  }

  /** Keeps others away while `work` runs. @internal */
  async whileBusy(work: () => Promise<void>): Promise<void> {
    this.#busy = true
    try {
      await work()
    } finally {
      this.#busy = false
    }
  }

  /** A request has ended; it may reach beyond the disk. @internal */
  record(offset: number, bytes: number): void {
    const bits = this.#bits!
    const end = Math.min(offset + bytes, bits.size)
    if (offset >= end) return
    bits.set(offset, end - offset)
    this.#changed = true
  }

  /** @internal */
  truncate(size: number): void {
    if (this.#bits === null || this.#bits.size === size) return
    this.#bits.truncate(size)
    this.#frozen?.truncate(size)
    this.#changed = true
  }

  /** The caller has asked {@link DirtyBitmap.assertMergeable}. @internal */
  absorb(source: DirtyBitmap): void {
    if (source === this) return
    this.#changeable().merge(source.#contents())
    this.#changed = true
  }

  /** It is in the image. @internal */
  get stored(): boolean {
    return this.#storedAuto !== null
  }

  /** What the image should hold differs from what it holds. @internal */
  get unsaved(): boolean {
    return this.#changed || this.#storedAuto !== this.#enabled
  }

  /** What is stored when the node closes: also what an operation has set aside. @internal */
  snapshot(): HBitmap {
    const bits = this.#contents()
    if (this.#frozen === null) return bits
    const all = bits.copy()
    all.merge(this.#frozen)
    return all
  }

  /** The image holds what {@link DirtyBitmap.snapshot} gave. @internal */
  markStored(): void {
    this.#changed = false
    this.#storedAuto = this.#enabled
  }

  /** @internal */
  assertRemovable(): void {
    if (this.#removed) throw notFound(this.name)
    this.#owner.assertOpen()
    if (this.#busy) throw busy(this.name)
    this.#assertNotStored()
  }

  /** @internal */
  assertWritable(): void {
    this.assertRemovable()
    if (this.inconsistent) throw inconsistent(this.name)
  }

  /** @internal */
  assertReadable(): void {
    if (this.#removed) throw notFound(this.name)
    if (this.#busy) throw busy(this.name)
    if (this.inconsistent) throw inconsistent(this.name)
  }

  /** @internal */
  assertMergeable(source: DirtyBitmap): void {
    this.assertWritable()
    source.assertReadable()
    const size = this.#contents().size
    if (source.#bits !== null && source.#bits.size !== size) throw differentSizes(size, source.#bits.size)
  }

  /** The node whose disk it describes. @internal */
  get owner(): BitmapOwner {
    return this.#owner
  }

  #setEnabled(enabled: boolean): void {
    this.#changeable()
    this.#enabled = enabled
    this.#owner.recordingChanged()
  }

  #assertNotStored(): void {
    if (this.persistent && this.#owner.isReadOnly()) throw readOnly(this.name)
  }

  #contents(): HBitmap {
    if (this.#bits !== null) return this.#bits
    throw this.inconsistent ? inconsistent(this.name) : notLoaded(this.name)
  }

  #changeable(): HBitmap {
    this.assertWritable()
    return this.#contents()
  }
}
