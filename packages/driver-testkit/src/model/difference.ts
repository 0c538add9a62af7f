/** Index of the first byte that differs, -1 if none does. Same lengths. @internal */
export function firstDifference(a: Uint8Array, b: Uint8Array): number {
  let i = 0
  // By words, from the first that is aligned.
  const head = (4 - (a.byteOffset % 4)) % 4
  if (a.byteOffset % 4 === b.byteOffset % 4 && a.length >= head) {
    while (i < head && a[i] === b[i]) i++
    if (i < head) return i
    const words = Math.floor((a.length - head) / 4)
    const x = new Uint32Array(a.buffer, a.byteOffset + head, words)
    const y = new Uint32Array(b.buffer, b.byteOffset + head, words)
    let word = 0
    while (word < words && x[word] === y[word]) word++
    i = head + word * 4
  }
  while (i < a.length && a[i] === b[i]) i++
  return i < a.length ? i : -1
}
