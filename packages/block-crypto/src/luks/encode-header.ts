import { BlockError } from '@blockloom/block-driver'
import { formatCipherMode } from './encryption.ts'
import type { LuksHeader } from './header.ts'
import { LUKS_HEADER_BYTES, LUKS_MAGIC, LUKS_SECTOR, SLOT_DISABLED, SLOT_ENABLED } from './layout.ts'

/**
 * Writes a header as it lies on disk; the opposite of {@link decodeLuksHeader}.
 *
 * @throws BlockError `invalid` for a name that is too long for its field
 * @public
 */
export function encodeLuksHeader(header: LuksHeader): Uint8Array {
  const bytes = new Uint8Array(LUKS_HEADER_BYTES)
  const view = new DataView(bytes.buffer)
  bytes.set(LUKS_MAGIC)
  view.setUint16(6, 1)
  bytes.set(latin1('Cipher name', 'aes', 31), 8)
  bytes.set(latin1('Cipher mode', formatCipherMode(header.encryption), 31), 40)
  bytes.set(latin1('Hash name', header.encryption.hashAlg, 31), 72)
  view.setUint32(104, header.payloadOffset / LUKS_SECTOR)
  view.setUint32(108, header.keyBytes)
  bytes.set(header.masterKeyDigest, 112)
  bytes.set(header.masterKeySalt, 132)
  view.setUint32(164, header.masterKeyIterations)
  bytes.set(latin1('UUID', header.uuid, 40), 168)
  for (const [index, slot] of header.keyslots.entries()) {
    const at = 208 + index * 48
    view.setUint32(at, slot.active ? SLOT_ENABLED : SLOT_DISABLED)
    view.setUint32(at + 4, slot.iterations)
    bytes.set(slot.salt, at + 8)
    view.setUint32(at + 40, slot.keyOffset / LUKS_SECTOR)
    view.setUint32(at + 44, slot.stripes)
  }
  return bytes
}

function latin1(what: string, text: string, most: number): Uint8Array {
  if (text.length > most) throw new BlockError('invalid', `${what} '${text}' is too long for LUKS header`, { detail: { text } })
  return Uint8Array.from(text, (character) => character.charCodeAt(0))
}
