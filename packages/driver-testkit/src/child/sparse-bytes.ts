const PAGE = 16384

/**
 * Bytes of which only the pages that were written take memory. Clones share pages until one side writes.
 *
 * @internal
 */
export class SparseBytes {
  size: number
  #pages: Map<number, Uint8Array>
  /** Pages that no clone shares. */
  #owned = new Set<number>()

  constructor(size = 0) {
    this.size = size
    this.#pages = new Map()
  }

  clone(): SparseBytes {
    const out = new SparseBytes(this.size)
    out.#pages = new Map(this.#pages)
    this.#owned.clear()
    return out
  }

  /** Bytes in pages. */
  get allocated(): number {
    return this.#pages.size * PAGE
  }

  /** Past the end reads as zeroes. */
  read(offset: number, into: Uint8Array): void {
    this.#walk(offset, into.length, (page, start, at, bytes) => {
      const held = this.#pages.get(page)
      if (held) into.set(held.subarray(start, start + bytes), at)
      else into.fill(0, at, at + bytes)
    })
  }

  slice(offset: number, bytes: number): Uint8Array {
    const out = new Uint8Array(bytes)
    this.read(offset, out)
    return out
  }

  /** Grows if need be. */
  write(offset: number, from: Uint8Array): void {
    this.#walk(offset, from.length, (page, start, at, bytes) => {
      this.#own(page).set(from.subarray(at, at + bytes), start)
    })
    this.size = Math.max(this.size, offset + from.length)
  }

  fill(offset: number, bytes: number, value: number): void {
    this.#walk(offset, bytes, (page, start, _at, length) => {
      if (value === 0 && length === PAGE) this.#drop(page)
      else if (value !== 0 || this.#pages.has(page)) this.#own(page).fill(value, start, start + length)
    })
    this.size = Math.max(this.size, offset + bytes)
  }

  /** New bytes are zeroes. */
  resize(size: number): void {
    if (size < this.size) {
      const before = this.size
      const edge = Math.ceil(size / PAGE) * PAGE
      this.fill(size, Math.min(edge, before) - size, 0)
      for (const page of [...this.#pages.keys()]) if (page * PAGE >= edge) this.#drop(page)
    }
    this.size = size
  }

  /** The run of pages at `offset` that are all held, or all holes. */
  run(offset: number, bytes: number): { held: boolean; bytes: number } {
    const held = this.#pages.has(Math.floor(offset / PAGE))
    let end = (Math.floor(offset / PAGE) + 1) * PAGE
    while (end < offset + bytes && this.#pages.has(end / PAGE) === held) end += PAGE
    return { held, bytes: Math.min(end - offset, bytes) }
  }

  /** A number that changes with any byte or the size (FNV-1a). */
  hash(): number {
    let hash = 0x811c9dc5
    for (const [page, bytes] of [...this.#pages].sort(([a], [b]) => a - b)) {
      if (bytes.every((byte) => byte === 0)) continue
      hash = Math.imul(hash ^ page, 0x01000193)
      for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193)
    }
    return Math.imul(hash ^ this.size, 0x01000193) >>> 0
  }

  #walk(offset: number, bytes: number, visit: (page: number, start: number, at: number, bytes: number) => void): void {
    for (let at = 0; at < bytes; ) {
      const start = (offset + at) % PAGE
      const length = Math.min(PAGE - start, bytes - at)
      visit(Math.floor((offset + at) / PAGE), start, at, length)
      at += length
    }
  }

  #drop(page: number): void {
    this.#pages.delete(page)
    this.#owned.delete(page)
  }

  #own(page: number): Uint8Array {
    const held = this.#pages.get(page)
    if (held && this.#owned.has(page)) return held
    const mine = held ? held.slice() : new Uint8Array(PAGE)
    this.#pages.set(page, mine)
    this.#owned.add(page)
    return mine
  }
}
