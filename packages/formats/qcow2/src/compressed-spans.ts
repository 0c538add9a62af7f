import { compressedLength, compressedOffset, isUsableCompressedOffset } from './on-disk/l2-compressed.ts'
import type { Geometry } from './units.ts'

/** Longest span that is read at once, unless one cluster alone is longer. */
export const SPAN_BYTES = 1024 * 1024

/** A compressed cluster that is wanted whole: its descriptor, and where its content goes. @internal */
export interface PackedCluster {
  readonly hi: number
  readonly lo: number
  readonly into: Uint8Array
}

/** Compressed clusters that lie side by side in the file. @internal */
export interface Span {
  /** Host offset. */
  readonly offset: number
  bytes: number
  /** `at`: from the start of the span. */
  readonly clusters: { readonly at: number; readonly bytes: number; readonly into: Uint8Array }[]
}

/**
 * Puts clusters together that were written one behind the other, in the order in which they are wanted. A cluster's
 * descriptor ends with a sector in which the next one may begin, so that neighbours overlap.
 *
 * @param unusable - called with an offset that cannot be; throws
 * @internal
 */
export function spansOf(geometry: Geometry, clusters: readonly PackedCluster[], unusable: (offset: number) => never): Span[] {
  const spans: Span[] = []
  for (const { hi, lo, into } of clusters) {
    const offset = compressedOffset(geometry, hi, lo)
    if (!isUsableCompressedOffset(offset)) unusable(offset)
    const bytes = compressedLength(geometry, hi, lo)
    let span = spans.at(-1)
    if (span === undefined || offset < span.offset || offset > span.offset + span.bytes || offset + bytes > span.offset + SPAN_BYTES) {
      span = { offset, bytes: 0, clusters: [] }
      spans.push(span)
    }
    const at = offset - span.offset
    span.bytes = Math.max(span.bytes, at + bytes)
    span.clusters.push({ at, bytes, into })
  }
  return spans
}
