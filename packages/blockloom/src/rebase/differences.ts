import { equalRange, isZeroRange } from '../compare/equal-range.ts'

/** A run of whole units that the two chains have differently. @internal */
export interface Difference {
  readonly from: number
  readonly to: number
  /** The old chain has zeroes there. */
  readonly zero: boolean
}

/**
 * Finds the units of a piece that differ; offsets are within the piece.
 *
 * @param old - what the old chain has; null is zeroes
 * @param now - the same of the new one
 * @param origin - where the piece lies in the image: units count from there
 * @internal
 */
export function differences(old: Uint8Array | null, now: Uint8Array | null, origin: number, bytes: number, unit: number): Difference[] {
  const found: Difference[] = []
  // Mostly nothing differs, or everything.
  if (equalRange(old, now, 0, bytes)) return found
  for (let from = 0; from < bytes; ) {
    const to = Math.min(bytes, from + unit - ((origin + from) % unit))
    if (!equalRange(old, now, from, to)) {
      const zero = old === null || isZeroRange(old, from, to)
      const last = found.at(-1)
      if (last !== undefined && last.to === from && last.zero === zero) found[found.length - 1] = { ...last, to }
      else found.push({ from, to, zero })
    }
    from = to
  }
  return found
}
