import { BlockError } from '@blockloom/block-driver'
import { checkHeader } from './check-header.ts'
import { parseEncryption } from './encryption.ts'
import type { LuksHeader, LuksKeyslot } from './header.ts'
import { KEYSLOTS, LUKS_HEADER_BYTES, LUKS_MAGIC, LUKS_SECTOR, MASTER_DIGEST_BYTES, SALT_BYTES, SLOT_DISABLED, SLOT_ENABLED } from './layout.ts'

/** Whether bytes start as a LUKS1 header does: magic and version. For probing. @public */
export function isLuksHeader(bytes: Uint8Array): boolean {
  return hasMagic(bytes) && bytes[6] === 0 && bytes[7] === 1
}

/**
 * Reads and checks a LUKS1 header (specification 1.2.3, figures 1 and 2). Nothing in it is trusted: names, lengths and the
 * places of the slots are checked, so that a slot can be read without another look.
 *
 * @param bytes - at least {@link LUKS_HEADER_BYTES}
 * @throws BlockError `corrupt` or `unsupported`, naming the field; nothing else
 * @public
 */
export function decodeLuksHeader(bytes: Uint8Array): LuksHeader {
  if (!hasMagic(bytes)) throw new BlockError('corrupt', 'Volume is not in LUKS format', { detail: { field: 'magic' } })
  if (bytes.length < LUKS_HEADER_BYTES) throw new BlockError('corrupt', `LUKS header is truncated: ${bytes.length} bytes`, { detail: { bytes: bytes.length } })
  const view = new DataView(bytes.buffer, bytes.byteOffset, LUKS_HEADER_BYTES)
  const version = view.getUint16(6)
  if (version !== 1) throw new BlockError('unsupported', `LUKS version ${version} is not supported`, { detail: { field: 'version', version } })
  const cipherName = text(bytes, 8, 32, 'cipher name')
  const cipherMode = text(bytes, 40, 32, 'cipher mode')
  const hashSpec = text(bytes, 72, 32, 'hash spec')
  const keyBytes = view.getUint32(108)
  const header: LuksHeader = {
    encryption: parseEncryption(cipherName, cipherMode, hashSpec, keyBytes),
    keyBytes,
    payloadOffset: view.getUint32(104) * LUKS_SECTOR,
    masterKeyDigest: new Uint8Array(bytes.subarray(112, 112 + MASTER_DIGEST_BYTES)),
    masterKeySalt: new Uint8Array(bytes.subarray(132, 132 + SALT_BYTES)),
    masterKeyIterations: view.getUint32(164),
    uuid: latin1(bytes.subarray(168, 208)),
    keyslots: Array.from({ length: KEYSLOTS }, (_, index) => keyslot(bytes, view, index)),
  }
  checkHeader(header)
  return header
}

function keyslot(bytes: Uint8Array, view: DataView, index: number): LuksKeyslot {
  const at = 208 + index * 48
  const state = view.getUint32(at)
  if (state !== SLOT_ENABLED && state !== SLOT_DISABLED) {
    throw new BlockError('corrupt', `Keyslot ${index} state (active/disable) is corrupted`, { detail: { keyslot: index } })
  }
  return {
    active: state === SLOT_ENABLED,
    iterations: view.getUint32(at + 4),
    salt: new Uint8Array(bytes.subarray(at + 8, at + 8 + SALT_BYTES)),
    keyOffset: view.getUint32(at + 40) * LUKS_SECTOR,
    stripes: view.getUint32(at + 44),
  }
}

function hasMagic(bytes: Uint8Array): boolean {
  return LUKS_MAGIC.every((byte, index) => bytes[index] === byte)
}

function text(bytes: Uint8Array, at: number, length: number, field: string): string {
  const whole = bytes.subarray(at, at + length)
  if (!whole.includes(0)) throw new BlockError('corrupt', `LUKS header ${field} is not NUL terminated`, { detail: { field } })
  return latin1(whole)
}

/** Text up to the first NUL; each byte is a character, so that nothing is lost when it is written again. */
function latin1(bytes: Uint8Array): string {
  const nul = bytes.indexOf(0)
  return String.fromCharCode(...(nul < 0 ? bytes : bytes.subarray(0, nul)))
}
