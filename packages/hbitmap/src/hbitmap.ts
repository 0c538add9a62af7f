import { checkBytes, checkGranularity, checkRange } from './byte-range.ts'
import { BitTree } from './tree/bit-tree.ts'

/** What an {@link HBitmap} is made of. @public */
export interface HBitmapOptions {
  /** Bytes that the bitmap covers, 0 to 2^53 - 1; the last granule may be partial. */
  readonly size: number
  /** Bytes for each bit: a power of two, 1 to 2^31. */
  readonly granularity: number
}

/** Bytes that follow one another: `[offset, offset + bytes)`. @public */
export interface DirtyArea {
  readonly offset: number
  readonly bytes: number
}

/** What {@link HBitmap.status} found: `bytes` from the asked offset on are all dirty, or all clean. @public */
export interface DirtyStatus {
  readonly dirty: boolean
  readonly bytes: number
}

/** Where {@link HBitmap.dirtyAreas} looks, and how much it yields at a time. @public */
export interface DirtyAreasOptions {
  /** First byte to look at; 0 unless given. */
  readonly start?: number
  /** End of the bytes to look at; the size, as it is at each step, unless given. */
  readonly end?: number
  /** Longest area to yield; no limit unless given. */
  readonly maxBytes?: number
}

/**
 * A hierarchical bitmap over bytes: one bit for each granule, and upper levels that say which 32-bit words below
 * are not zero.
 *
 * - Finding a dirty granule takes a number of steps that depends on the number of levels only.
 * - Memory follows what is set: stretches with nothing or with everything set take none, and the words never take
 *   more than 1 bit for each granule plus 1/31 of that, rounded up to whole nodes (less than 5 KB).
 * - Creating, {@link HBitmap.clear} and {@link HBitmap.setAll} do not depend on the size.
 *
 * Every argument is checked; a value that can not be is a RangeError that names it, and changes nothing.
 *
 * @public
 */
export class HBitmap {
  readonly #granularity: number
  #size: number
  #tree: BitTree

  /** @throws RangeError when size or granularity is out of range */
  constructor(options: HBitmapOptions) {
    checkBytes('size', options.size)
    checkGranularity(options.granularity)
    this.#size = options.size
    this.#granularity = options.granularity
    this.#tree = new BitTree(Math.ceil(options.size / options.granularity))
  }

  /** Bytes that the bitmap covers. */
  get size(): number {
    return this.#size
  }

  /** Bytes for each bit. */
  get granularity(): number {
    return this.#granularity
  }

  /** Granules that are dirty; kept up to date, so reading it costs nothing. */
  get count(): number {
    return this.#tree.count
  }

  /**
   * Bytes that are dirty: the sum of all dirty areas, in which a partial last granule counts what it covers.
   *
   * The reference tools count it as a whole granule: `count * granularity`.
   */
  get dirtyBytes(): number {
    const tail = this.#size % this.#granularity
    const bytes = this.#tree.count * this.#granularity
    if (tail === 0 || !this.#tree.get(this.#tree.length - 1)) return bytes
    return bytes - (this.#granularity - tail)
  }

  /** True when nothing is dirty. */
  get isEmpty(): boolean {
    return this.#tree.count === 0
  }

  /** True when the granule that holds byte `offset` is dirty. `offset` must be below the size. */
  get(offset: number): boolean {
    checkRange(offset, 1, this.#size)
    return this.#tree.get(Math.floor(offset / this.#granularity))
  }

  /** Marks every granule that `[offset, offset + bytes)` touches: rounds outward. */
  set(offset: number, bytes: number): void {
    checkRange(offset, bytes, this.#size)
    if (bytes === 0) return
    const from = Math.floor(offset / this.#granularity)
    this.#tree.set(from, Math.ceil((offset + bytes) / this.#granularity))
  }

  /**
   * Cleans every granule that lies wholly inside `[offset, offset + bytes)`: rounds inward, since the rest of a
   * partly covered granule may still be dirty. A partial last granule is inside when the range reaches the size.
   */
  reset(offset: number, bytes: number): void {
    checkRange(offset, bytes, this.#size)
    const end = offset + bytes
    const from = Math.ceil(offset / this.#granularity)
    const to = end === this.#size ? this.#tree.length : Math.floor(end / this.#granularity)
    if (from < to) this.#tree.reset(from, to)
  }

  /** Cleans everything. */
  clear(): void {
    this.#tree.clear()
  }

  /** Marks everything. */
  setAll(): void {
    if (this.#size > 0) this.#tree.set(0, this.#tree.length)
  }

  /**
   * The first dirty byte in `[offset, offset + bytes)`, or null. Without `bytes` it looks up to the size; a range
   * that reaches beyond the size ends there.
   */
  nextDirty(offset: number, bytes: number = Number.MAX_SAFE_INTEGER): number | null {
    const end = this.#endOf(offset, bytes)
    if (offset >= end) return null
    const found = this.#tree.nextSet(Math.floor(offset / this.#granularity), Math.ceil(end / this.#granularity))
    return found < 0 ? null : Math.max(offset, found * this.#granularity)
  }

  /** The first clean byte in `[offset, offset + bytes)`, or null; ranges as in {@link HBitmap.nextDirty}. */
  nextZero(offset: number, bytes: number = Number.MAX_SAFE_INTEGER): number | null {
    const end = this.#endOf(offset, bytes)
    if (offset >= end) return null
    const found = this.#tree.nextUnset(Math.floor(offset / this.#granularity), Math.ceil(end / this.#granularity))
    return found < 0 ? null : Math.max(offset, found * this.#granularity)
  }

  /**
   * The first dirty bytes in `[start, end)`, as many as follow one another but at most `maxBytes`, or null.
   *
   * The area is cut at `start`, `end` and the size, so it begins or ends inside a granule when they do.
   *
   * @throws RangeError also when `maxBytes` is 0
   */
  nextDirtyArea(
    start: number, end: number = Number.MAX_SAFE_INTEGER, maxBytes: number = Number.MAX_SAFE_INTEGER,
  ): DirtyArea | null {
    checkBytes('start', start)
    checkBytes('end', end)
    checkBytes('maxBytes', maxBytes)
    if (maxBytes === 0) throw new RangeError('maxBytes must be at least 1')
    const offset = start >= end ? null : this.nextDirty(start, end - start)
    if (offset === null) return null
    const limit = Math.min(end, this.#size, offset + maxBytes)
    return { offset, bytes: (this.nextZero(offset, limit - offset) ?? limit) - offset }
  }

  /** Whether byte `offset` is dirty, and for how many bytes, at most `bytes` and at least 1, that holds. */
  status(offset: number, bytes: number): DirtyStatus {
    checkRange(offset, bytes, this.#size)
    if (bytes === 0) throw new RangeError('bytes must be at least 1')
    const dirty = this.get(offset)
    const change = dirty ? this.nextZero(offset, bytes) : this.nextDirty(offset, bytes)
    return { dirty, bytes: (change ?? offset + bytes) - offset }
  }

  /**
   * The dirty areas from `start` on, in ascending order, without overlap.
   *
   * The bitmap may be changed in any way between two steps. Each step looks at it as it is then, from the end of the
   * area before: what is set ahead is seen, what is reset ahead is not, what is set behind stays behind, and a
   * change of size counts from the next step on.
   */
  *dirtyAreas(options: DirtyAreasOptions = {}): Generator<DirtyArea, void, void> {
    let start = options.start ?? 0
    for (;;) {
      const area = this.nextDirtyArea(start, options.end, options.maxBytes)
      if (area === null) return
      start = area.offset + area.bytes
      yield area
    }
  }

  /**
   * Marks everything that is dirty in `other`, which must be of the same size; its granularity may differ.
   *
   * Takes time that follows what is set in `other`.
   */
  merge(other: HBitmap): void {
    if (other.#size !== this.#size) {
      throw new RangeError(`bitmaps of ${this.#size} and ${other.#size} bytes can not be merged`)
    }
    if (other === this) return
    if (other.#granularity === this.#granularity) {
      this.#tree.merge(other.#tree)
    } else {
      for (const area of other.dirtyAreas()) this.set(area.offset, area.bytes)
    }
  }

  /** Changes the size: what a smaller one leaves out is forgotten, what a larger one adds is clean. */
  truncate(size: number): void {
    checkBytes('size', size)
    this.#tree.truncate(Math.ceil(size / this.#granularity))
    this.#size = size
  }

  /** A bitmap of the same contents that shares nothing with this one. */
  copy(): HBitmap {
    const bitmap = new HBitmap({ size: this.#size, granularity: this.#granularity })
    bitmap.#tree = this.#tree.copy()
    return bitmap
  }

  /** Bytes of the disk that offsets and lengths of serialised parts are multiples of: 64 granules. */
  get serializationAlign(): number {
    return this.#granularity * 64
  }

  /**
   * Bytes that `[offset, offset + bytes)` takes when serialised: 8 for each 64 granules or part of that.
   *
   * @throws RangeError unless both ends are multiples of {@link HBitmap.serializationAlign}, or the end is the size
   */
  serializationSize(offset: number, bytes: number): number {
    checkRange(offset, bytes, this.#size)
    const align = this.serializationAlign
    const end = offset + bytes
    if (offset % align !== 0) throw new RangeError(`offset ${offset} is not a multiple of ${align}`)
    if (end % align !== 0 && end !== this.#size) throw new RangeError(`bytes ${bytes} is not a multiple of ${align}`)
    return Math.ceil(bytes / align) * 8
  }

  /**
   * The bits of `[offset, offset + bytes)`: bit `n % 8` of byte `floor(n / 8)` is the part's granule `n`, unused
   * bits at the end are zero (docs/interop/qcow2.txt, "Bitmap data").
   *
   * Allocates what {@link HBitmap.serializationSize} says, so ask for large bitmaps in parts.
   */
  serializePart(offset: number, bytes: number): Uint8Array {
    const out = new Uint8Array(this.serializationSize(offset, bytes))
    if (bytes > 0) {
      const from = offset / this.#granularity
      this.#tree.export(from, from + out.length * 8, out)
    }
    return out
  }

  /**
   * Replaces the bits of `[offset, offset + bytes)` by serialised ones. Counts and upper levels are right when it
   * returns, so there is no final step. Bits beyond the size are not looked at.
   *
   * @throws RangeError also when `data` is not {@link HBitmap.serializationSize} long
   */
  deserializePart(offset: number, bytes: number, data: Uint8Array): void {
    const length = this.serializationSize(offset, bytes)
    if (data.length !== length) throw new RangeError(`data must be ${length} bytes long, not ${data.length}`)
    if (bytes > 0) this.#tree.import(offset / this.#granularity, this.#partEnd(offset, bytes), data)
  }

  /** As {@link HBitmap.deserializePart} with data that is all zeroes. */
  deserializeZeroes(offset: number, bytes: number): void {
    this.serializationSize(offset, bytes)
    if (bytes > 0) this.#tree.reset(offset / this.#granularity, this.#partEnd(offset, bytes))
  }

  /** As {@link HBitmap.deserializePart} with data that is all ones. */
  deserializeOnes(offset: number, bytes: number): void {
    this.serializationSize(offset, bytes)
    if (bytes > 0) this.#tree.set(offset / this.#granularity, this.#partEnd(offset, bytes))
  }

  /** Bytes that the bitmap's words take now; visits all of them. */
  memoryUsage(): number {
    return this.#tree.wordBytes()
  }

  #partEnd(offset: number, bytes: number): number {
    return Math.ceil((offset + bytes) / this.#granularity)
  }

  #endOf(offset: number, bytes: number): number {
    checkBytes('offset', offset)
    checkBytes('bytes', bytes)
    return offset + bytes < this.#size ? offset + bytes : this.#size
  }
}
