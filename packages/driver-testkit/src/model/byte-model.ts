import { SparseBytes } from '../child/sparse-bytes.ts'
import { firstDifference } from './difference.ts'
import { check, failure, hex } from '../failure.ts'

/** Something that can be read. @internal */
export interface Readable {
  readonly size: number
  read(offset: number, bytes: number): Promise<Uint8Array>
}

interface Maybe {
  readonly offset: number
  readonly data: Uint8Array
}

const CHUNK = 1024 * 1024

/**
 * What an image must read as. Where a failed or unordered request leaves a choice, every allowed value is kept.
 *
 * @internal
 */
export class ByteModel {
  readonly #bytes: SparseBytes
  readonly #opaque: boolean
  #maybes: Maybe[] = []

  /** @param opaque - anything may be read */
  constructor(bytes: SparseBytes, opaque = false) {
    this.#bytes = bytes
    this.#opaque = opaque
  }

  get size(): number {
    return this.#bytes.size
  }

  clone(): ByteModel {
    const out = new ByteModel(this.#bytes.clone(), this.#opaque)
    out.#maybes = [...this.#maybes]
    return out
  }

  /** From now on exactly these bytes. */
  write(offset: number, data: Uint8Array): void {
    this.#settle(offset, data.length)
    this.#bytes.write(offset, data)
  }

  zero(offset: number, bytes: number): void {
    this.write(offset, new Uint8Array(bytes))
  }

  /** Each byte may be what it was, or this. */
  maybe(offset: number, data: Uint8Array): void {
    this.#maybes.push({ offset, data: data.slice() })
  }

  /** New bytes are zeroes. */
  resize(size: number): void {
    if (size < this.size) this.#settle(size, this.size - size)
    this.#bytes.resize(size)
  }

  /** The definite bytes. */
  slice(offset: number, bytes: number): Uint8Array {
    return this.#bytes.slice(offset, bytes)
  }

  /** Checks bytes that were read at `offset`. */
  check(offset: number, actual: Uint8Array, what: string): void {
    if (this.#opaque) return
    const expected = this.#bytes.slice(offset, actual.length)
    for (let i = firstDifference(actual, expected); i >= 0; ) {
      const other = this.#maybes.find((maybe) => covers(maybe, offset + i) && maybe.data[offset + i - maybe.offset] === actual[i])
      if (!other) {
        const also = this.#maybes.filter((maybe) => covers(maybe, offset + i)).map((maybe) => ` or ${hex(maybe.data[offset + i - maybe.offset]!)}`)
        throw failure(`${what}: byte ${offset + i} is ${hex(actual[i]!)}, expected ${hex(expected[i]!)}${[...new Set(also)].join('')}`)
      }
      const allowed = other.data.subarray(offset + i - other.offset)
      const end = Math.min(actual.length, i + allowed.length)
      i = nextDifference(actual.subarray(0, end), allowed, i, i)
      i = i < 0 ? end : i
      i = nextDifference(actual, expected, i, 0)
    }
  }

  /** Reads a part and checks it. */
  async checkRange(image: Readable, offset: number, bytes: number, what: string): Promise<void> {
    this.check(offset, await image.read(offset, bytes), what)
  }

  /** Reads all of the image and checks it. */
  async checkAll(image: Readable, what: string): Promise<void> {
    check(image.size === this.size, () => `${what}: the size is ${image.size}, expected ${this.size}`)
    for (let offset = 0; offset < this.size; offset += CHUNK) {
      await this.checkRange(image, offset, Math.min(CHUNK, this.size - offset), what)
    }
  }

  #settle(offset: number, bytes: number): void {
    const end = offset + bytes
    this.#maybes = this.#maybes.flatMap((maybe) => {
      const last = maybe.offset + maybe.data.length
      if (last <= offset || maybe.offset >= end) return [maybe]
      const parts: Maybe[] = []
      if (maybe.offset < offset) parts.push({ offset: maybe.offset, data: maybe.data.subarray(0, offset - maybe.offset) })
      if (last > end) parts.push({ offset: end, data: maybe.data.subarray(end - maybe.offset) })
      return parts
    })
  }
}

/** Where from `from` on `actual` differs from `expected`, whose first byte stands for that at `base`; -1 if nowhere. */
function nextDifference(actual: Uint8Array, expected: Uint8Array, from: number, base: number): number {
  const at = firstDifference(actual.subarray(from), expected.subarray(from - base, actual.length - base))
  return at < 0 ? -1 : from + at
}

function covers(maybe: Maybe, offset: number): boolean {
  return offset >= maybe.offset && offset < maybe.offset + maybe.data.length
}
