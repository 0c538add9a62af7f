import type { Random } from './random.ts'

/** @internal */
export interface ByteRange {
  readonly offset: number
  readonly bytes: number
}

/** @internal */
export function alignDown(value: number, to: number): number {
  return value - (value % to)
}

/** @internal */
export function alignUp(value: number, to: number): number {
  return alignDown(value + to - 1, to)
}

/** @internal */
export function overlap(a: ByteRange, b: ByteRange): boolean {
  return a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes
}

/** The aligned part of a range inside an image, at most `most` bytes; undefined if nothing is left. @internal */
export function inside(range: ByteRange, size: number, alignment: number, most: number): ByteRange | undefined {
  const offset = alignUp(range.offset, alignment)
  const end = alignDown(Math.min(range.offset + range.bytes, size), alignment)
  const bytes = Math.min(end - offset, Number.isFinite(most) ? Math.max(alignment, alignDown(most, alignment)) : Infinity)
  return bytes > 0 ? { offset, bytes } : undefined
}

/** Any aligned range, often at the edge of a cluster, from one unit to some clusters long. @internal */
export function randomRange(random: Random, size: number, cluster: number, alignment: number): ByteRange {
  const unit = Math.max(alignment, 1)
  const edge = random.int(Math.ceil(size / cluster)) * cluster
  const near = random.oneIn(3) ? edge : edge + (random.int(7) - 3) * unit
  const start = random.oneIn(3) ? random.int(size) : near
  const offset = Math.max(0, Math.min(alignDown(Math.max(start, 0), unit), size - unit))
  const wish = random.pick([unit, 3 * unit, 512, Math.floor(cluster / 3), cluster - unit, cluster, cluster + unit, 2 * cluster + unit])
  const bytes = Math.max(unit, Math.min(alignUp(wish, unit), alignDown(size - offset, unit)))
  return { offset, bytes }
}
