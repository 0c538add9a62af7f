/** Index of the first byte that differs, -1 if none does. Same lengths. @internal */
export function firstDifference(a: Uint8Array, b: Uint8Array): number {
  let i = 0
  if (a.byteOffset % 4 === 0 && b.byteOffset % 4 === 0) {
    const words = Math.floor(a.length / 4)
    const x = new Uint32Array(a.buffer, a.byteOffset, words)
    const y = new Uint32Array(b.buffer, b.byteOffset, words)
    let word = 0
    while (word < words && x[word] === y[word]) word++
    i = word * 4
  }
  while (i < a.length && a[i] === b[i]) i++
  return i < a.length ? i : -1
}
