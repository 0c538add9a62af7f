/** True if every byte is zero. Looks at the ends first: most data gives itself away there. @internal */
export function isZero(bytes: Uint8Array): boolean {
  const n = bytes.length
  if (n === 0) return true
  if (bytes[0] !== 0 || bytes[n - 1] !== 0) return false
  // Words need an aligned view; the ragged ends are looked at byte by byte.
  const head = Math.min(n, (8 - (bytes.byteOffset % 8)) % 8)
  for (let i = 0; i < head; i++) if (bytes[i] !== 0) return false
  const words = Math.floor((n - head) / 8)
  const view = new Float64Array(bytes.buffer, bytes.byteOffset + head, words)
  for (let i = 0; i < words; i++) {
    // -0 equals 0 but is not all zero bits.
    if (view[i] !== 0 || 1 / view[i]! < 0) return false
  }
  for (let i = head + words * 8; i < n; i++) if (bytes[i] !== 0) return false
  return true
}
