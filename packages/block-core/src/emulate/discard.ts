import type { Plan } from '../node/plan.ts'
import { alignDown, alignUp } from '../request/split.ts'

/**
 * Tells the driver that a range is not needed. Advice: ragged ends are skipped, and a driver that cannot is fine.
 *
 * @internal
 */
export async function discardRange(plan: Plan, size: number, offset: number, bytes: number): Promise<void> {
  if (plan.discard === null) return
  const align = Math.max(plan.limits.discardAlignment, plan.limits.requestAlignment)
  let from = alignUp(offset, align)
  const end = offset + bytes
  // The last unit of an image may be partial.
  const to = end >= size && end % plan.limits.requestAlignment === 0 ? end : alignDown(end, align)
  const most = Number.isFinite(plan.limits.maxDiscard) ? alignDown(plan.limits.maxDiscard, align) : Infinity
  while (from < to) {
    const n = Math.min(to - from, most)
    if ((await plan.discard(from, n)) === 'unsupported') return
    from += n
  }
}
