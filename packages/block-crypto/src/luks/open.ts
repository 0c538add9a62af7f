import type { SectorCipher } from '../sectors/sector-cipher.ts'
import { decodeLuksHeader } from './decode-header.ts'
import type { LuksHeader } from './header.ts'
import { volumeCipher } from './keyslot-cipher.ts'
import { LUKS_HEADER_BYTES } from './layout.ts'
import type { UnlockLimits } from './limits.ts'
import type { LuksReader } from './luks-io.ts'
import { unlock } from './unlock-keyslot.ts'

/** An unlocked volume. @public */
export interface LuksVolume {
  readonly header: LuksHeader
  /** For the data. In a `luks` image sectors count from the payload's start, in qcow2 from the file's. */
  readonly cipher: SectorCipher
  /** The slot that the passphrase is in. */
  readonly keyslot: number
}

/**
 * Reads the header without a passphrase: enough to describe the volume, not to read it.
 *
 * @throws BlockError as {@link decodeLuksHeader}, or as the reader does
 * @public
 */
export async function readLuksHeader(io: LuksReader): Promise<LuksHeader> {
  const bytes = new Uint8Array(LUKS_HEADER_BYTES)
  await io.read(0, bytes)
  return decodeLuksHeader(bytes)
}

/**
 * Unlocks a volume: tries the passphrase on each active slot.
 *
 * @throws BlockError `denied` (EPERM) for a wrong passphrase, `unsupported` for more work than `limits` allows, or as
 * {@link readLuksHeader}
 * @public
 */
export async function openLuks(io: LuksReader, passphrase: Uint8Array, limits: UnlockLimits = {}): Promise<LuksVolume> {
  const header = await readLuksHeader(io)
  const { masterKey, keyslot } = await unlock(io, header, passphrase, limits)
  try {
    return { header, cipher: await volumeCipher(header.encryption, masterKey), keyslot }
  } finally {
    masterKey.fill(0)
  }
}
