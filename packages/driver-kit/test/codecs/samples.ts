/** A small seeded generator (mulberry32), 0 … 1. */
export function generator(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) % 0x100000000
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 0x100000000
  }
}

export function randomBytes(length: number, random: () => number): Uint8Array {
  return Uint8Array.from({ length }, () => Math.floor(random() * 256))
}

/** Bytes of one of several kinds: zeroes, text, noise, long repeats, and mixtures. */
export function sample(length: number, random: () => number): Uint8Array {
  const out = new Uint8Array(length)
  let at = 0
  while (at < length) {
    const kind = Math.floor(random() * 4)
    const end = Math.min(length, at + 1 + Math.floor(random() * length))
    const period = 1 + Math.floor(random() * 300)
    for (let i = at; i < end; i++) {
      if (kind === 0) out[i] = 0
      else if (kind === 1) out[i] = 97 + Math.floor(random() * random() * 26)
      else if (kind === 2) out[i] = Math.floor(random() * 256)
      else out[i] = i - at < period ? Math.floor(random() * 256) : out[i - period]!
    }
    at = end
  }
  return out
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}
