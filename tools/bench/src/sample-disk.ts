import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs'

/** mulberry32: the same disk on every machine. */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

/** Writes a raw disk of 45 % random bytes, 30 % text and 25 % holes, in runs of 64 KiB to 1 MiB. */
export function writeSampleDisk(file: string, size: number, seed = 42): void {
  const next = random(seed)
  const noise = Buffer.alloc(32 << 20)
  for (let i = 0; i < noise.length; i += 4) noise.writeUInt32LE(Math.floor(next() * 2 ** 32), i)
  const words = 'cluster table refcount bitmap the of a node in backing chain write zero and discard to flush snapshot is'.split(' ')
  let prose = ''
  while (prose.length < 4 << 20) prose += `${words[Math.floor(next() * words.length)]}${next() < 0.1 ? `${Math.floor(next() * 1000)}\n` : ' '}`
  const text = Buffer.from(prose)
  const out = openSync(file, 'w')
  ftruncateSync(out, size)
  for (let offset = 0; offset < size; ) {
    const bytes = Math.min(size - offset, 65536 * (1 + Math.floor(next() * 16)))
    const kind = next()
    const from = kind < 0.45 ? noise : text
    // Odd starts: no two runs of noise are the same clusters.
    if (kind < 0.75) writeSync(out, from, Math.floor(next() * (from.length - bytes)), bytes, offset)
    offset += bytes
  }
  closeSync(out)
}
