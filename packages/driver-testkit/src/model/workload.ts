import { RequestFlag } from '@blockloom/block-driver'
import type { Image } from '../bench/bench.ts'
import type { OpenedImage } from '../bench/opened-image.ts'
import type { ByteModel } from './byte-model.ts'
import type { Random } from './random.ts'
import { inside, randomRange, type ByteRange } from './ranges.ts'

/** A change of an image, planned but not yet made. @internal */
export interface Operation {
  readonly kind: 'write' | 'zero' | 'discard'
  readonly range: ByteRange
  /** What the range reads as afterwards; of a discard, what it may read as besides the old. */
  readonly outcomes: readonly Uint8Array[]
  readonly flags: number
}

/** Plans a change that the image can do. @internal */
export function planOperation(random: Random, image: Image, opened: OpenedImage, size: number, cluster: number): Operation {
  const { limits, instance } = opened
  const range = randomRange(random, size, cluster, limits.requestAlignment)
  const dice = random.int(6)
  if (dice === 0 && instance.zero) {
    const part = inside(range, size, limits.zeroAlignment, limits.maxZero)
    const flags = random.pick([0, RequestFlag.MAY_UNMAP])
    if (part) return { kind: 'zero', range: part, outcomes: [new Uint8Array(part.bytes)], flags }
  }
  if (dice === 1 && instance.discard) {
    const part = inside(range, size, limits.discardAlignment, limits.maxDiscard)
    if (part) return { kind: 'discard', range: part, outcomes: image.discarded(part.offset, part.bytes), flags: 0 }
  }
  return { kind: 'write', range, outcomes: [random.bytes(range.bytes)], flags: 0 }
}

/** Makes the change; a zero that is refused is written, as the core does. Answers whether the driver did it. @internal */
export async function perform(opened: OpenedImage, operation: Operation): Promise<boolean> {
  const { kind, range, outcomes, flags } = operation
  if (kind === 'discard') return (await opened.discard(range.offset, range.bytes)) === 'done'
  if (kind === 'zero' && (await opened.zero(range.offset, range.bytes, flags)) === 'done') return true
  await opened.write(range.offset, outcomes[0]!)
  return true
}

/** What the model knows after a change that succeeded. @internal */
export function settle(model: ByteModel, operation: Operation): void {
  if (operation.kind === 'discard') allow(model, operation)
  else model.write(operation.range.offset, operation.outcomes[0]!)
}

/** What the model knows while a change is pending, or after it has failed. @internal */
export function allow(model: ByteModel, operation: Operation): void {
  for (const outcome of operation.outcomes) model.maybe(operation.range.offset, outcome)
}

/** One line for failures. @internal */
export function describeOperation({ kind, range, flags }: Operation): string {
  return `${kind}(${range.offset}, ${range.bytes}${flags ? `, flags ${flags}` : ''})`
}
