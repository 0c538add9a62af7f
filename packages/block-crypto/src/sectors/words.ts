/** A buffer of whole words, seen as bytes and as words. @internal */
export interface Scratch {
  readonly bytes: Uint8Array
  readonly words: Uint32Array
}

/** @internal */
export function scratch(bytes: number): Scratch {
  const words = new Uint32Array(bytes / 4)
  return { bytes: new Uint8Array(words.buffer), words }
}

/** `into ^= mask`, for the first words. @internal */
export function xorWords(into: Uint32Array, mask: Uint32Array, words: number): void {
  for (let i = 0; i < words; i++) into[i] = into[i]! ^ mask[i]!
}

/** Whether the host's words have their low byte first. @internal */
export const LITTLE_ENDIAN: boolean = /* @__PURE__ */ new Uint8Array(/* @__PURE__ */ new Uint32Array([1]).buffer)[0] === 1

/** Turns the bytes of each word around. @internal */
export function swapBytes(words: Uint32Array): void {
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!
    words[i] = (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)
  }
}
