import { limits as makeLimits, type Attempt, type CompressFacet, type Extent, type FilterInstance, type FlushScope, type Instance, type Limits, type ResizeFacet } from '@blockloom/block-driver'
import type { Link } from './link.ts'

/**
 * An instance's operations, resolved once at open: no test for an absent facet is left on the data path, and a
 * filter's omissions point at its filtered child. `null` is "the driver cannot".
 *
 * @internal
 */
export interface Plan {
  readonly limits: Limits
  /** Request flags done natively by write and zero. */
  readonly honours: number
  readonly read: (offset: number, into: Uint8Array, flags: number) => Promise<void>
  readonly write: ((offset: number, from: Uint8Array, flags: number) => Promise<void>) | null
  readonly flush: ((scope: FlushScope) => Promise<void>) | null
  readonly zero: ((offset: number, bytes: number, flags: number) => Promise<Attempt>) | null
  readonly discard: ((offset: number, bytes: number) => Promise<Attempt>) | null
  readonly extents: ((offset: number, bytes: number) => Extent | Promise<Extent>) | null
  readonly resize: ResizeFacet | null
  readonly compress: CompressFacet | null
  readonly size: () => number | Promise<number>
  readonly zeroInit: boolean
}

/** The plan of a format or protocol: what is absent is absent. @internal */
export function planOf(instance: Instance): Plan {
  const { writer } = instance
  return {
    limits: instance.limits,
    honours: writer?.honours ?? 0,
    read: instance.read.bind(instance),
    write: writer ? writer.write.bind(writer) : null,
    flush: writer ? writer.flush.bind(writer) : null,
    zero: writer && instance.zero ? instance.zero.bind(instance) : null,
    discard: writer && instance.discard ? instance.discard.bind(instance) : null,
    extents: instance.extents ? instance.extents.bind(instance) : null,
    resize: instance.resize ?? null,
    compress: instance.compress ?? null,
    size: instance.size.bind(instance),
    zeroInit: instance.zeroInit ?? false,
  }
}

/**
 * The plan of a filter: what is absent is the filtered child's, through its pipeline. The filter's limits default
 * to none, because the child's pipeline obeys the child's own.
 *
 * @internal
 */
export function filterPlanOf(instance: FilterInstance, next: Link): Plan {
  const { writer } = instance
  const own = instance as Partial<Instance>
  return {
    limits: own.limits ?? makeLimits({ clusterSize: next.limits.clusterSize, optimalTransfer: next.limits.optimalTransfer }),
    honours: writer ? (writer.honours ?? 0) : FORWARDED_FLAGS,
    read: own.read ? own.read.bind(own) : (offset, into, flags) => next.read(offset, into, flags),
    write: writer ? writer.write.bind(writer) : (offset, from, flags) => next.write(offset, from, flags),
    flush: writer ? writer.flush.bind(writer) : (scope) => next.flush(scope),
    zero: own.zero ? own.zero.bind(own) : (offset, bytes, flags) => next.zero(offset, bytes, flags).then(done),
    discard: own.discard ? own.discard.bind(own) : (offset, bytes) => next.discard(offset, bytes).then(done),
    extents: own.extents ? own.extents.bind(own) : (offset, bytes) => next.extents(offset, bytes),
    resize: own.resize ?? next.target.plan.resize,
    compress: own.compress ?? next.target.plan.compress,
    size: own.size ? own.size.bind(own) : () => next.size(),
    zeroInit: own.zeroInit ?? next.zeroInit,
  }
}

const done = (): Attempt => 'done'

// Everything but SERIALISING, which each node does for itself.
const FORWARDED_FLAGS = 0x0f
