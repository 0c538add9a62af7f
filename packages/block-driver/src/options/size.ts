import { BlockError } from '../block-error.ts'

const SUFFIX: Readonly<Record<string, number>> = {
  '': 1, b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4, p: 1024 ** 5, e: 1024 ** 6,
}

/**
 * Reads a byte count such as `65536`, `64k`, `1.5G`, `0x1000`; suffixes b, k, K, M, G, T, P, E are powers of 1024.
 *
 * @returns bytes, rounded down like the reference, or `undefined` if the text is not a size
 * @throws BlockError `range` (EFBIG) for a size that is well-formed but not below 2^53
 * @public
 */
export function parseSize(text: string): number | undefined {
  const hex = /^\s*(0[xX][0-9a-fA-F]+)$/.exec(text)
  const match = hex ? null : /^\s*(\d+(?:\.\d*)?|\.\d+)([bkmgtpe]?)$/i.exec(text)
  if (!hex && !match) return undefined
  const value = hex ? Number(hex[1]) : Number(match![1]) * SUFFIX[match![2]!.toLowerCase()]!
  // A fraction of a byte is an error in the reference; a fraction with a suffix is not.
  if (match && /\./.test(match[1]!) && SUFFIX[match[2]!.toLowerCase()] === 1 && !Number.isInteger(value)) return undefined
  const bytes = Math.floor(value)
  if (!Number.isSafeInteger(bytes)) {
    throw new BlockError('range', `Size '${text.trim()}' is too large: sizes are below 8 PiB`, { errno: 'EFBIG' })
  }
  return bytes
}
