/** A small seeded generator: the same seed gives the same run. */
export class SeededRandom {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** An integer from 0 up to but not including `limit`, which may be up to 2^53. */
  below(limit: number): number {
    return Math.floor((this.#word() + this.#word() / 2 ** 32) * (limit / 2 ** 32))
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256))
  }

  // xorshift32 over a Weyl sequence.
  #word(): number {
    this.#state = (this.#state + 0x9e3779b9) >>> 0
    let x = this.#state
    x = Math.imul(x ^ (x >>> 16), 0x21f0aaad)
    x = Math.imul(x ^ (x >>> 15), 0x735a2d97)
    return (x ^ (x >>> 15)) >>> 0
  }
}

/** Runs `body` for seeds `first` up to `first + count`, and names the seed that failed. */
export function forSeeds(first: number, count: number, body: (random: SeededRandom, seed: number) => void): void {
  for (let seed = first; seed < first + count; seed++) {
    try {
      body(new SeededRandom(seed), seed)
    } catch (cause) {
      throw new Error(`seed ${seed}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
    }
  }
}
