import { BlockError } from '@blockloom/block-driver'

// Where the bytes of the text lie on disk: Microsoft stores the first three groups little endian.
const MIXED_ENDIAN = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15]
const PATTERN = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** A 16-byte UUID in the order of its text (RFC 9562), in lower case: VHD, VDI's and LUKS's way. @public */
export function readUuid(bytes: Uint8Array, at: number): string {
  let text = ''
  for (let i = 0; i < 16; i++) {
    if (i === 4 || i === 6 || i === 8 || i === 10) text += '-'
    text += bytes[at + i]!.toString(16).padStart(2, '0')
  }
  return text
}

/**
 * Stores a UUID in the order of its text.
 *
 * @param field - what it is, for the message
 * @throws BlockError `invalid` naming the field, if the text is not a UUID; nothing is stored then
 * @public
 */
export function writeUuid(bytes: Uint8Array, at: number, uuid: string, field = 'UUID'): void {
  if (!PATTERN.test(uuid)) throw new BlockError('invalid', `${field} is not valid: '${uuid}'`, { detail: { field } })
  const digits = uuid.replaceAll('-', '')
  for (let i = 0; i < 16; i++) bytes[at + i] = Number.parseInt(digits.slice(i * 2, i * 2 + 2), 16)
}

/** A 16-byte GUID whose first three groups are little endian, in lower case: VHDX's and GPT's way. @public */
export function readGuid(bytes: Uint8Array, at: number): string {
  return readUuid(Uint8Array.from(MIXED_ENDIAN, (place) => bytes[at + place]!), 0)
}

/** Stores a GUID with its first three groups little endian; otherwise the same as {@link writeUuid}. @public */
export function writeGuid(bytes: Uint8Array, at: number, guid: string, field = 'GUID'): void {
  const inOrder = new Uint8Array(16)
  writeUuid(inOrder, 0, guid, field)
  for (const [i, place] of MIXED_ENDIAN.entries()) bytes[at + place] = inOrder[i]!
}
