/** @internal */
export interface ByteRange {
  readonly offset: number
  readonly bytes: number
}

/**
 * Ranges of a file, sorted and joined where they overlap: any number of them are searched in a few steps.
 *
 * @internal
 */
export class ByteRanges {
  /** Disjoint, ascending. */
  readonly list: readonly ByteRange[]

  constructor(ranges: Iterable<ByteRange>) {
    const joined: { offset: number; bytes: number }[] = []
    for (const { offset, bytes } of [...ranges].filter((range) => range.bytes > 0).sort((a, b) => a.offset - b.offset)) {
      const last = joined.at(-1)
      if (last !== undefined && offset <= last.offset + last.bytes) last.bytes = Math.max(last.bytes, offset + bytes - last.offset)
      else joined.push({ offset, bytes })
    }
    this.list = joined
  }

  /** Whether a byte of `from` … `to - 1` is in one of the ranges. */
  touches(from: number, to: number): boolean {
    let low = 0
    let high = this.list.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.list[middle]!.offset < to) low = middle + 1
      else high = middle
    }
    const before = this.list[low - 1]
    return before !== undefined && before.offset + before.bytes > from
  }
}
