import { classifyCluster, type L2Context } from './l2.ts'

// Extended L2 entries: the second half of the entry is a bitmap, bits 0-31 allocation, bits 32-63 "reads as
// zeroes", one bit per subcluster. Both bits set is invalid. Source: qcow2 specification, "Extended L2 Entries".

/**
 * What an extended L2 entry says about one subcluster.
 *
 * - `unallocated-plain`, `unallocated-alloc`: look in the backing file; `-alloc`: the cluster has a host cluster
 * - `zero-plain`, `zero-alloc`: reads as zeroes, without or with a host cluster
 * - `normal`: the data is in the host cluster
 * - `compressed`: the whole cluster is compressed
 * - `invalid`: both bits are set, or the subcluster is allocated without a host cluster: corruption
 *
 * @internal
 */
export type SubclusterKind =
  | 'unallocated-plain'
  | 'unallocated-alloc'
  | 'zero-plain'
  | 'zero-alloc'
  | 'normal'
  | 'compressed'
  | 'invalid'

/** All 32 subclusters, as a bitmap half. @internal */
export const ALL_SUBCLUSTERS = 0xffff_ffff

/** The allocation bits of extended entry `index`: bit x of the result is subcluster x. @internal */
export function subclustersAllocated(table: DataView, index: number): number {
  return table.getUint32(index * 16 + 12)
}

/** The zero bits of extended entry `index`: bit x of the result is subcluster x. @internal */
export function subclustersZero(table: DataView, index: number): number {
  return table.getUint32(index * 16 + 8)
}

/** Writes the bitmap of extended entry `index`. Bits that are in both halves make the entry invalid. @internal */
export function setSubclusters(table: DataView, index: number, allocated: number, zero: number): void {
  table.setUint32(index * 16 + 8, zero)
  table.setUint32(index * 16 + 12, allocated)
}

/**
 * The bits of subclusters `from` up to but not including `to`, as an unsigned bitmap half.
 *
 * `0 <= from <= to <= 32`.
 *
 * @internal
 */
export function subclusterMask(from: number, to: number): number {
  return 2 ** to - 2 ** from
}

/**
 * The kind of one subcluster of an extended L2 entry. Total: every value has a kind.
 *
 * @param hi - upper half of the descriptor; `lo` its lower half
 * @param allocated - bits 0-31 of the bitmap; `zero` its bits 32-63
 * @param subcluster - 0 to 31
 * @internal
 */
export function classifySubcluster(
  context: L2Context,
  hi: number,
  lo: number,
  allocated: number,
  zero: number,
  subcluster: number,
): SubclusterKind {
  const cluster = classifyCluster(context, hi, lo)
  if (cluster === 'compressed') return 'compressed'
  const isAllocated = ((allocated >>> subcluster) & 1) === 1
  const isZero = ((zero >>> subcluster) & 1) === 1
  if (cluster === 'normal') {
    if (isZero) return isAllocated ? 'invalid' : 'zero-alloc'
    return isAllocated ? 'normal' : 'unallocated-alloc'
  }
  if (isAllocated) return 'invalid'
  return isZero ? 'zero-plain' : 'unallocated-plain'
}

/**
 * How many subclusters from `from` on have the same two bits as subcluster `from`, at least 1.
 *
 * Lets a request go through a cluster in runs instead of 32 steps.
 *
 * @internal
 */
export function subclusterRun(allocated: number, zero: number, from: number): number {
  // A bit of `differs` is set where a subcluster's pair of bits is not that of subcluster `from`.
  const wantAllocated = ((allocated >>> from) & 1) === 1 ? 0xffff_ffff : 0
  const wantZero = ((zero >>> from) & 1) === 1 ? 0xffff_ffff : 0
  const differs = ((allocated ^ wantAllocated) | (zero ^ wantZero)) >>> from
  if (differs === 0) return 32 - from
  return 31 - Math.clz32(differs & -differs)
}

/** True if an extended entry's bitmap contradicts itself or the descriptor; a check reports it. @internal */
export function hasInvalidSubclusters(
  context: L2Context,
  hi: number,
  lo: number,
  allocated: number,
  zero: number,
): boolean {
  const cluster = classifyCluster(context, hi, lo)
  if (cluster === 'compressed') return false
  return (allocated & zero) !== 0 || (cluster !== 'normal' && allocated !== 0)
}
