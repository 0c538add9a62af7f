/**
 * A deterministic source of randomness for tests and simulations. Not for secrets.
 *
 * The same seed gives the same sequence on every platform and in every later version of this major release.
 *
 * @public
 */
export interface SeededRandom {
  /** The seed it was made from: print it when a randomized test fails. */
  readonly seed: number
  /** The next unsigned 32-bit integer. */
  next(): number
  /** The next fraction in [0, 1), with 53 random bits. */
  float(): number
  /** An integer in [0, bound). `bound` is an integer from 1 to 2^53 - 1. */
  below(bound: number): number
  /** An integer in [low, high], both included. */
  between(low: number, high: number): number
  /** True with the given probability (0 never, 1 always). */
  chance(probability: number): boolean
  /** One element of a non-empty array. */
  pick<T>(from: readonly T[]): T
  /** Shuffles in place and returns the same array. */
  shuffle<T>(items: T[]): T[]
  /** An independent generator whose seed is drawn from this one. */
  fork(): SeededRandom
}

/**
 * Makes a {@link SeededRandom}: xoshiro128** (Blackman and Vigna), its state filled by splitmix32.
 *
 * @param seed - any safe integer; all of its 53 bits count
 *
 * @public
 */
export function createRandom(seed: number): SeededRandom {
  if (!Number.isSafeInteger(seed)) throw new RangeError(`seed must be a safe integer, not ${seed}`)
  const low = splitmix32(seed % 0x1_0000_0000)
  const high = splitmix32(Math.floor(seed / 0x1_0000_0000))
  let a = low()
  let b = low()
  let c = high()
  let d = high() | 1 // xoshiro must not start from an all-zero state

  const next = (): number => {
    const scrambled = Math.imul(rotateLeft(Math.imul(b, 5), 7), 9)
    const shifted = b << 9
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= shifted
    d = rotateLeft(d, 11)
    return scrambled >>> 0
  }
  const float = (): number => ((next() >>> 5) * 0x400_0000 + (next() >>> 6)) / 0x20_0000_0000_0000
  const below = (bound: number): number => {
    if (!Number.isSafeInteger(bound) || bound < 1) throw new RangeError(`bound must be a positive integer, not ${bound}`)
    return Math.floor(float() * bound)
  }

  // Nearby seeds differ in few bits of the state: mix them before anybody sees the difference.
  for (let i = 0; i < 8; i++) next()

  return {
    seed,
    next,
    float,
    below,
    between: (low, high) => low + below(high - low + 1),
    chance: (probability) => float() < probability,
    pick: (from) => from[below(from.length)]!,
    shuffle: (items) => {
      for (let i = items.length - 1; i > 0; i--) {
        const j = below(i + 1)
        const swapped = items[i]!
        items[i] = items[j]!
        items[j] = swapped
      }
      return items
    },
    fork: () => createRandom(next()),
  }
}

function rotateLeft(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits))
}

function splitmix32(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x9e37_79b9) | 0
    let z = state
    z = Math.imul(z ^ (z >>> 16), 0x21f0_aaad)
    z = Math.imul(z ^ (z >>> 15), 0x735a_2d97)
    return z ^ (z >>> 15)
  }
}
