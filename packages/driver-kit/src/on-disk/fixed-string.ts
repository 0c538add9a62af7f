import { BlockError } from '@blockloom/block-driver'

/**
 * Reads text from a field of fixed length, up to its first NUL or its end.
 *
 * @param field - what it is, for the message
 * @throws BlockError `corrupt` naming the field, if it is not valid UTF-8
 * @public
 */
export function readFixedString(bytes: Uint8Array, field: string): string {
  const nul = bytes.indexOf(0)
  const text = nul < 0 ? bytes : bytes.subarray(0, nul)
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(text)
  } catch (cause) {
    throw new BlockError('corrupt', `${field} is not valid UTF-8`, { cause, detail: { field } })
  }
}

/**
 * Fills a field of fixed length with text and NULs. The text may take the whole field: then there is no NUL.
 *
 * @throws BlockError `invalid` naming the field, if the text is too long or has a NUL in it; `into` is then unchanged
 * @public
 */
export function writeFixedString(into: Uint8Array, text: string, field: string): void {
  const bytes = new TextEncoder().encode(text)
  if (bytes.length > into.length) {
    throw new BlockError('invalid', `${field} is too long: ${bytes.length} bytes, at most ${into.length}`, { detail: { field } })
  }
  if (bytes.includes(0)) throw new BlockError('invalid', `${field} contains a NUL character`, { detail: { field } })
  into.fill(0)
  into.set(bytes)
}
