import type { Instance } from '@blockloom/block-driver'
import { RequestFlag } from '@blockloom/block-driver'
import type { Random } from './random.ts'

export type Operation =
  | { readonly op: 'write'; readonly offset: number; readonly bytes: number; readonly value: number }
  | { readonly op: 'compress'; readonly offset: number; readonly bytes: number; readonly value: number }
  | { readonly op: 'zero'; readonly offset: number; readonly bytes: number; readonly flags: number }
  | { readonly op: 'discard'; readonly offset: number; readonly bytes: number }

/** Data that depends on its place, so that misplaced data is seen; some of it compresses, some does not. */
export function fill(into: Uint8Array, offset: number, value: number): Uint8Array {
  for (let i = 0; i < into.length; i++) {
    const at = offset + i
    into[i] = value % 3 === 0 ? (Math.imul(at + value * 7919, 2654435761) >>> 13) & 0xff : (value + Math.floor(at / 97)) & 0xff
  }
  return into
}

/** Operations that do not overlap, in places close to each other. */
export function pickOperations(random: Random, size: number, limits: { zero: number; discard: number; cluster: number; compress: boolean; discards: boolean }, count: number, value: number): Operation[] {
  const operations: Operation[] = []
  const span = Math.min(size, limits.cluster * 48)
  let at = Math.floor(random.below(size - span + 1) / 512) * 512
  const end = at + span
  for (let i = 0; i < count && at < end; i++) {
    at += random.chance(0.5) ? 0 : random.below(limits.cluster)
    const kind = random.below(10)
    const align = kind < 6 ? (random.chance(0.5) ? 512 : 1) : kind === 6 ? limits.zero : limits.cluster
    const offset = Math.ceil(at / align) * align
    let bytes = random.chance(0.3) ? 1 + random.below(4 * limits.cluster) : 1 + random.below(Math.ceil(limits.cluster / 2))
    bytes = Math.max(align, Math.floor(bytes / align) * align)
    if (kind === 9) bytes = limits.cluster
    if (offset + bytes > size) bytes = size - offset
    if (bytes <= 0) break
    if (kind === 6) operations.push({ op: 'zero', offset, bytes, flags: random.chance(0.5) ? RequestFlag.MAY_UNMAP : 0 })
    else if (kind === 7 && limits.discards) operations.push({ op: 'discard', offset, bytes })
    else if (kind === 9 && limits.compress) operations.push({ op: 'compress', offset, bytes, value: value + i })
    else operations.push({ op: 'write', offset, bytes, value: value + i })
    at = offset + bytes
  }
  return operations
}

/** What the guest should read afterwards. */
export function applyToModel(model: Uint8Array, operation: Operation): void {
  const { offset, bytes } = operation
  if (operation.op === 'write' || operation.op === 'compress') fill(model.subarray(offset, offset + bytes), offset, operation.value)
  else model.fill(0, offset, offset + bytes)
}

/** Does it. Zeroing falls back to writing, as in the core. */
export async function perform(image: Instance, operation: Operation): Promise<void> {
  const { offset, bytes } = operation
  switch (operation.op) {
    case 'write':
      return image.writer!.write(offset, fill(new Uint8Array(bytes), offset, operation.value), 0)
    case 'compress':
      return image.compress!.write(offset, fill(new Uint8Array(bytes), offset, operation.value))
    case 'zero':
      if ((await image.zero!(offset, bytes, operation.flags)) === 'unsupported') await image.writer!.write(offset, new Uint8Array(bytes), 0)
      return
    case 'discard':
      await image.discard!(offset, bytes)
      return
  }
}
