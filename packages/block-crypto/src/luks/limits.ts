import { BlockError } from '@blockloom/block-driver'

/** What hosts can count, and so the most that is ever done or written. @internal */
export const MAX_PBKDF2_ITERATIONS = 0x7fffffff

/**
 * Iterations that an image may ask for unless the caller says otherwise: half a minute of a fast core. An image of
 * somebody else could otherwise keep a thread busy for an hour per slot.
 *
 * @public
 */
export const DEFAULT_MAX_ITERATIONS = 0x8000000

/** Bounds on the work that opening a volume may cost. @public */
export interface UnlockLimits {
  /** The most iterations of PBKDF2 that a header may ask for, per slot; default {@link DEFAULT_MAX_ITERATIONS}, at most 2^31 - 1. */
  readonly maxIterations?: number | undefined
  /** Stops between two slots. */
  readonly signal?: AbortSignal | undefined
}

/** @internal */
export function checkIterations(what: string, iterations: number, { maxIterations = DEFAULT_MAX_ITERATIONS }: UnlockLimits): void {
  const most = Math.min(maxIterations, MAX_PBKDF2_ITERATIONS)
  if (iterations <= most) return
  throw new BlockError('unsupported', `${what} iteration count ${iterations} is larger than the limit of ${most}`, { detail: { iterations, limit: most } })
}
