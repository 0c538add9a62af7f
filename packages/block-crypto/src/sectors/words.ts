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
