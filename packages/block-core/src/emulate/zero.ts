import { BlockError, RequestFlag } from '@blockloom/block-driver'
import type { Plan } from '../node/plan.ts'
import { alignDown, alignUp } from '../request/split.ts'

/** What the emulation writes with. @internal */
export interface ZeroTarget {
  readonly plan: Plan
  readonly size: number
  /** Writes bytes that start and end anywhere, with read-modify-write where the driver wants alignment. */
  writeAnywhere(offset: number, from: Uint8Array, flags: number): Promise<void>
}

/** Longest buffer of zeroes; also the reference's bound for bounce buffers is of this order. */
const ZERO_CHUNK = 1 << 20

let zeroes = new Uint8Array(0)

/** A shared buffer of zeroes; nobody may write into it. */
function zeroBuffer(bytes: number): Uint8Array {
  if (zeroes.length < bytes) zeroes = new Uint8Array(bytes <= 65536 ? 65536 : ZERO_CHUNK)
  return zeroes.subarray(0, bytes)
}

/**
 * Makes a range read as zeroes: the aligned middle by the driver's own means, ragged ends and whatever the driver
 * refuses by writing zeroes, unless the caller allows no fallback.
 *
 * @throws BlockError `unsupported` with `NO_FALLBACK` if data would have to be written
 * @internal
 */
export async function zeroRange(target: ZeroTarget, offset: number, bytes: number, flags: number): Promise<void> {
  const { plan } = target
  const end = offset + bytes
  const align = Math.max(plan.limits.zeroAlignment, plan.limits.requestAlignment)
  let from = alignUp(offset, align)
  let to = alignDown(end, align)
  // The last cluster of an image may be partial: zeroing up to the end of the image is aligned enough.
  if (end >= target.size && plan.zero !== null && end % plan.limits.requestAlignment === 0) to = end
  if (plan.zero === null || from >= to) from = to = end
  else if (offset < from) await ragged(target, offset, from - offset, flags)
  if (from === end) {
    await ragged(target, offset, bytes, flags)
    return
  }
  const most = Number.isFinite(plan.limits.maxZero) ? alignDown(plan.limits.maxZero, align) : Infinity
  while (from < to) {
    const n = Math.min(to - from, most)
    const attempt = await plan.zero!(from, n, flags & (plan.honours | RequestFlag.MAY_UNMAP | RequestFlag.NO_FALLBACK))
    if (attempt === 'unsupported') await byData(target, from, n, flags)
    from += n
  }
  if (to < end) await ragged(target, to, end - to, flags)
}

/** A piece smaller than the driver's unit: nothing to do if it reads as zeroes already. */
async function ragged(target: ZeroTarget, offset: number, bytes: number, flags: number): Promise<void> {
  if (bytes === 0) return
  if (target.plan.zero !== null && target.plan.extents !== null && offset + bytes <= target.size) {
    const extent = await target.plan.extents(offset, bytes)
    if (extent.kind === 'zero' && extent.bytes >= bytes) return
  }
  await byData(target, offset, bytes, flags)
}

async function byData(target: ZeroTarget, offset: number, bytes: number, flags: number): Promise<void> {
  if (flags & RequestFlag.NO_FALLBACK) {
    throw new BlockError('unsupported', 'Writing zeroes here needs data to be written, and the caller allows no fallback')
  }
  const most = Math.min(ZERO_CHUNK, target.plan.limits.maxTransfer)
  for (let done = 0; done < bytes; ) {
    const n = Math.min(most, bytes - done)
    await target.writeAnywhere(offset + done, zeroBuffer(n), flags & ~(RequestFlag.MAY_UNMAP | RequestFlag.NO_FALLBACK))
    done += n
  }
}
