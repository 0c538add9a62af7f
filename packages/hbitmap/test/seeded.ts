/** A small seeded generator: whole numbers below `limit`, which may exceed 32 bits. */
export interface Random {
  readonly seed: number
  below(limit: number): number
  chance(probability: number): boolean
}

export function seeded(seed: number): Random {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  return {
    seed,
    below: (limit) => Math.floor(((next() * 4294967296 + next()) / 4294967296) * limit) % limit,
    chance: (probability) => next() < probability,
  }
}

/** The seed of a randomized test: from the environment to repeat a failure, otherwise new each time. */
export function pickSeed(): number {
  const given = process.env['BLOCKLOOM_SEED']
  return given === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(given)
}
