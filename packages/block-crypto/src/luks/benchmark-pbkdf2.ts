import { pbkdf2 } from '@blockloom/block-crypto/ciphers'
import { BlockError } from '@blockloom/block-driver'
import type { HashName } from '../ciphers/hash-name.ts'
import { MAX_PBKDF2_ITERATIONS } from './limits.ts'

/** Fewer are never used, however slow the host. */
const FEWEST = 1000
/** What a measurement should take, in milliseconds, unless less is asked for. */
const SAMPLE = 100
const MOST_MEASURED = 1 << 24

/**
 * How many iterations of PBKDF2 this host does in a time.
 *
 * @param bytes - length of the derived key: longer than a digest costs a multiple
 * @param milliseconds - the time to spend; 0 gives the minimum
 * @param now - the clock, in milliseconds
 * @returns 1000 at least
 * @throws BlockError `invalid` if there would be 2^31 or more, or if the clock stands still
 * @internal
 */
export async function benchmarkPbkdf2(hash: HashName, bytes: number, milliseconds: number, now: () => number): Promise<number> {
  const input = new Uint8Array(32)
  const time = async (iterations: number): Promise<number> => {
    const start = now()
    await pbkdf2(hash, input, input, iterations, bytes)
    return now() - start
  }
  if (milliseconds === 0) return FEWEST
  const enough = Math.min(SAMPLE, Math.max(5, milliseconds / 8))
  let iterations = FEWEST
  let elapsed = await time(iterations)
  while (elapsed < enough && iterations < MOST_MEASURED) {
    iterations = Math.min(MOST_MEASURED, Math.ceil(iterations * (elapsed < 1 ? 10 : Math.min(10, (enough * 1.2) / elapsed + 1))))
    elapsed = await time(iterations)
  }
  // Waiting for a thread looks like work: the quicker of two is nearer the truth, and errs on the side of more iterations.
  const best = Math.min(elapsed, await time(iterations))
  if (!(best > 0)) throw new BlockError('invalid', "The clock stands still: 'iter-time' cannot be measured", { detail: { option: 'iter-time' } })
  return scale(iterations, best, milliseconds)
}

function scale(iterations: number, elapsed: number, milliseconds: number): number {
  const scaled = Math.floor((iterations / elapsed) * milliseconds)
  if (scaled <= MAX_PBKDF2_ITERATIONS) return Math.max(FEWEST, scaled)
  throw new BlockError('invalid', `PBKDF iterations ${scaled} larger than ${MAX_PBKDF2_ITERATIONS}`, { detail: { option: 'iter-time', iterations: scaled } })
}
