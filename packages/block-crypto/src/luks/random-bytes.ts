// What the host's generator gives at most in one call (Web Cryptography API, section 10.1.1).
const MOST = 65536

/** Fills a buffer with bytes of the host's cryptographic generator. @internal */
export function fillRandom(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; at += MOST) {
    crypto.getRandomValues(bytes.subarray(at, at + MOST) as Uint8Array<ArrayBuffer>)
  }
}

/** @internal */
export function randomBytes(length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  fillRandom(bytes)
  return bytes
}
