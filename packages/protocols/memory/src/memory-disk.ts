import { BlockError, MAX_IMAGE_SIZE } from '@blockloom/block-driver'

/** Bytes in a page: the unit in which memory is allocated and given back. @internal */
export const PAGE_SIZE = 65536

/** A run of a {@link MemoryDisk} that is stored, or that is not and reads as zeroes. @public */
export interface MemoryRun {
  readonly stored: boolean
  readonly bytes: number
}

/**
 * A sparse disk in memory: pages of 64 KiB that are allocated when they are first written.
 *
 * Made by {@link createMemoryDisk}. All methods are synchronous and atomic. Offsets and lengths are bytes,
 * 0 … `MAX_IMAGE_SIZE`; reads past the end give zeroes, writes past the end grow the disk.
 *
 * @public
 */
export class MemoryDisk {
  readonly #pages = new Map<number, Uint8Array>()
  #size: number

  /** @internal Use {@link createMemoryDisk}. */
  constructor(size: number) {
    this.#size = checkSize(size)
  }

  /** Size in bytes. */
  get size(): number {
    return this.#size
  }

  /** Memory in use in bytes, a multiple of 64 KiB. */
  get allocatedSize(): number {
    return this.#pages.size * PAGE_SIZE
  }

  /** Fills all of `into`; what is past the end or was never written is zeroes. */
  read(offset: number, into: Uint8Array): void {
    let page = Math.floor(offset / PAGE_SIZE)
    let at = offset - page * PAGE_SIZE
    for (let done = 0; done < into.length; at = 0, page++) {
      const bytes = Math.min(PAGE_SIZE - at, into.length - done)
      const stored = this.#pages.get(page)
      if (stored === undefined) into.fill(0, done, done + bytes)
      else into.set(stored.subarray(at, at + bytes), done)
      done += bytes
    }
  }

  /**
   * Stores a copy of `from`, growing the disk if it reaches past the end.
   * @throws BlockError `range` (EFBIG) past `MAX_IMAGE_SIZE`
   */
  write(offset: number, from: Uint8Array): void {
    if (offset + from.length > this.#size) this.#size = checkSize(offset + from.length)
    let page = Math.floor(offset / PAGE_SIZE)
    let at = offset - page * PAGE_SIZE
    for (let done = 0; done < from.length; at = 0, page++) {
      const bytes = Math.min(PAGE_SIZE - at, from.length - done)
      let stored = this.#pages.get(page)
      if (stored === undefined) this.#pages.set(page, (stored = new Uint8Array(PAGE_SIZE)))
      stored.set(from.subarray(done, done + bytes), at)
      done += bytes
    }
  }

  /**
   * Makes a range read as zeroes and gives whole pages back; the disk grows if it reaches past the end.
   * @throws BlockError `range` (EFBIG) past `MAX_IMAGE_SIZE`
   */
  zero(offset: number, bytes: number): void {
    const end = offset + bytes
    if (end > this.#size) this.#size = checkSize(end)
    this.#clear(offset, end)
  }

  /**
   * Sets the size; new bytes read as zeroes, those cut off are gone.
   * @throws BlockError `range` (EFBIG) past `MAX_IMAGE_SIZE`
   */
  resize(size: number): void {
    checkSize(size)
    if (size < this.#size) this.#clear(size, Math.ceil(this.#size / PAGE_SIZE) * PAGE_SIZE)
    this.#size = size
  }

  /** How far from `offset` on, at most `bytes`, the disk is stored or not. `bytes` is at least 1. */
  run(offset: number, bytes: number): MemoryRun {
    const end = offset + bytes
    const first = Math.floor(offset / PAGE_SIZE)
    const stored = this.#pages.has(first)
    const last = stored ? this.#endOfStored(first, end) : this.#nextStored(first, end)
    return { stored, bytes: Math.min(last * PAGE_SIZE, end) - offset }
  }

  /** A copy of the whole content. */
  toBytes(): Uint8Array {
    const bytes = new Uint8Array(this.#size)
    this.read(0, bytes)
    return bytes
  }

  #endOfStored(first: number, end: number): number {
    let page = first + 1
    while (page * PAGE_SIZE < end && this.#pages.has(page)) page++
    return page
  }

  #nextStored(first: number, end: number): number {
    const last = Math.ceil(end / PAGE_SIZE)
    // A hole of terabytes has millions of pages: look at whichever is fewer, its pages or those stored.
    if (last - first > this.#pages.size) {
      let next = last
      for (const page of this.#pages.keys()) if (page > first && page < next) next = page
      return next
    }
    let page = first + 1
    while (page < last && !this.#pages.has(page)) page++
    return page
  }

  #clear(offset: number, end: number): void {
    const first = Math.floor(offset / PAGE_SIZE)
    const last = Math.ceil(end / PAGE_SIZE)
    if (last - first > this.#pages.size) {
      for (const page of [...this.#pages.keys()]) if (page >= first && page < last) this.#clearPage(page, offset, end)
    } else {
      for (let page = first; page < last; page++) this.#clearPage(page, offset, end)
    }
  }

  #clearPage(page: number, offset: number, end: number): void {
    const start = page * PAGE_SIZE
    if (offset <= start && end >= start + PAGE_SIZE) this.#pages.delete(page)
    else this.#pages.get(page)?.fill(0, Math.max(offset - start, 0), Math.min(end - start, PAGE_SIZE))
  }
}

/**
 * Makes a disk in memory: empty of a size, or holding a copy of some bytes.
 *
 * @throws BlockError `range` (EFBIG) if `size` is past `MAX_IMAGE_SIZE`, `invalid` if it is not a byte count
 * @public
 */
export function createMemoryDisk(content: Uint8Array | { readonly size: number }): MemoryDisk {
  if (!(content instanceof Uint8Array)) return new MemoryDisk(content.size)
  const disk = new MemoryDisk(content.length)
  disk.write(0, content)
  return disk
}

function checkSize(size: number): number {
  if (!Number.isInteger(size) || size < 0) throw new BlockError('invalid', `size ${size} is not a number of bytes`)
  if (size > MAX_IMAGE_SIZE) throw new BlockError('range', `size ${size} is past the largest, ${MAX_IMAGE_SIZE}`, { errno: 'EFBIG' })
  return size
}
