import { BlockError } from '@blockloom/block-driver'

/**
 * Decodes base64 (RFC 4648) as it stands in options and files: newlines are ignored, everything else must be right. A
 * group that is cut off is refused: a passphrase must not get shorter in silence.
 *
 * @throws BlockError `invalid`
 * @internal
 */
export function decodeBase64(text: string): Uint8Array {
  if (text.includes('\0')) throw new BlockError('invalid', 'Base64 data contains embedded NUL characters')
  const [, digits, padding] = /^([A-Za-z0-9+/]*)(=*)$/.exec(text.replaceAll('\n', '')) ?? []
  if (digits === undefined || padding === undefined) throw new BlockError('invalid', 'Base64 data contains invalid characters')
  const missing = (4 - (digits.length % 4)) % 4
  if (missing === 3 || padding.length < missing) throw new BlockError('invalid', 'Base64 data is incomplete')
  return Uint8Array.from(atob(digits), (character) => character.charCodeAt(0))
}
