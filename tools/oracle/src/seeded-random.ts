/** Seeded random numbers for tests (mulberry32): the same seed gives the same sequence. */
export class SeededRandom {
  readonly seed: number
  #state: number

  constructor(seed: number = Math.floor(Math.random() * 0x7fffffff)) {
    this.seed = seed
    this.#state = seed
  }

  /** 0 ≤ x < 1 */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }

  /** Whole number, 0 ≤ x < below. */
  below(below: number): number {
    return Math.floor(this.next() * below)
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  /** Bytes that do not compress. */
  bytes(length: number): Uint8Array {
    const out = new Uint8Array(length)
    for (let i = 0; i < length; i++) out[i] = this.below(256)
    return out
  }
}
