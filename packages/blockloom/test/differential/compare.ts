/** Throws where two contents differ, with the place and a few bytes of both. */
export function assertSameBytes(seen: Uint8Array, expected: Uint8Array, offset = 0): void {
  if (Buffer.compare(seen, expected) === 0) return
  if (seen.length !== expected.length) throw new Error(`Expected ${expected.length} bytes, got ${seen.length}`)
  let from = 0
  while (seen[from] === expected[from]) from++
  let to = seen.length
  while (seen[to - 1] === expected[to - 1]) to--
  const show = (bytes: Uint8Array): string => Buffer.from(bytes.subarray(from, from + 8)).toString('hex')
  throw new Error(`Content differs at ${offset + from} (0x${(offset + from).toString(16)}), last at ${offset + to - 1}: expected ${show(expected)}…, got ${show(seen)}…`)
}
