import type { Plan } from '../node/plan.ts'
import { alignDown, alignUp } from '../request/split.ts'

/** Reads any byte range from a driver that wants alignment, through a bounce buffer. @internal */
export async function readUnaligned(plan: Plan, offset: number, into: Uint8Array, flags: number): Promise<void> {
  const align = plan.limits.requestAlignment
  const most = Math.max(align, alignDown(Math.min(plan.limits.maxTransfer, BOUNCE), align))
  let at = alignDown(offset, align)
  const end = alignUp(offset + into.length, align)
  const bounce = new Uint8Array(Math.min(most, end - at))
  while (at < end) {
    const piece = bounce.subarray(0, Math.min(bounce.length, end - at))
    await plan.read(at, piece, flags)
    const skip = Math.max(0, offset - at)
    const to = at + skip - offset
    into.set(piece.subarray(skip, Math.min(piece.length, skip + into.length - to)), to)
    at += piece.length
  }
}

/**
 * Writes any byte range to a driver that wants alignment: reads the blocks at the ragged ends, merges, writes
 * whole blocks. The caller holds a serialising request over them.
 *
 * @internal
 */
export async function writeUnaligned(plan: Plan, offset: number, from: Uint8Array, flags: number): Promise<void> {
  const align = plan.limits.requestAlignment
  const start = alignDown(offset, align)
  const end = alignUp(offset + from.length, align)
  const padded = new Uint8Array(end - start)
  if (start < offset || end - start === align) await plan.read(start, padded.subarray(0, align), 0)
  if (end > offset + from.length && end - start > align) await plan.read(end - align, padded.subarray(end - align - start), 0)
  padded.set(from, offset - start)
  const most = Math.max(align, alignDown(Math.min(plan.limits.maxTransfer, padded.length), align))
  for (let done = 0; done < padded.length; done += most) {
    await plan.write!(start + done, padded.subarray(done, Math.min(done + most, padded.length)), flags)
  }
}

/** Bounce buffers stay below this. */
const BOUNCE = 1 << 20
