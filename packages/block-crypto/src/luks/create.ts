import { pbkdf2 } from '@blockloom/block-crypto/ciphers'
import { BlockError } from '@blockloom/block-driver'
import { type HashName, digestBytes } from '../ciphers/hash-name.ts'
import type { CipherModeName } from '../sectors/create-sector-cipher.ts'
import type { IvGeneratorName } from '../sectors/iv-generator.ts'
import { benchmarkPbkdf2 } from './benchmark-pbkdf2.ts'
import { type LuksEncryption, masterKeyBytes } from './encryption.ts'
import type { LuksHeader } from './header.ts'
import { volumeCipher } from './keyslot-cipher.ts'
import { KEYSLOTS, MASTER_DIGEST_BYTES, SALT_BYTES, STRIPES, slotOffset } from './layout.ts'
import type { LuksIo } from './luks-io.ts'
import { type CipherAlgName, CIPHER_KEY_BYTES } from './names.ts'
import type { LuksVolume } from './open.ts'
import { randomBytes } from './random-bytes.ts'
import { storeKeyslot } from './store-keyslot.ts'

/** How a new volume is encrypted; names and defaults are QEMU's. @public */
export interface LuksCreateOptions {
  /** Default `aes-256`. */
  readonly cipherAlg?: CipherAlgName | undefined
  /** Default `xts`. */
  readonly cipherMode?: CipherModeName | undefined
  /** Default `plain64`. */
  readonly ivgenAlg?: IvGeneratorName | undefined
  /** Default `sha256` with `essiv`, otherwise none. */
  readonly ivgenHashAlg?: HashName | undefined
  /** Default `sha256`. */
  readonly hashAlg?: HashName | undefined
  /**
   * Milliseconds of PBKDF2 that a passphrase costs; default 2000. A minute and more can exceed {@link DEFAULT_MAX_ITERATIONS}:
   * such a volume opens with a larger `maxIterations` only.
   */
  readonly iterTime?: number | undefined
}

/** What {@link createLuks} needs besides the options. @public */
export interface LuksCreateInit {
  readonly io: LuksIo
  readonly passphrase: Uint8Array
  readonly options?: LuksCreateOptions
  /** A clock in milliseconds, to measure what `iterTime` means on this host. */
  readonly now: () => number
}

/** QEMU's default for `iter-time`, in milliseconds. @internal */
export const DEFAULT_ITER_TIME = 2000

/**
 * Bytes in front of the data of a volume with these options: the header and room for eight slots.
 *
 * @throws BlockError as {@link createLuks}, for options that do not go together
 * @public
 */
export function luksPayloadOffset(options: LuksCreateOptions = {}): number {
  return slotOffset(masterKeyBytes(encryptionOf(options)), KEYSLOTS)
}

/**
 * Writes a new header, with a fresh master key under the passphrase in slot 0. The rest of the space up to the payload is
 * not touched: it should read as zeroes.
 *
 * @throws BlockError `invalid` for an `iterTime` that is not a whole number or asks for too much, `unsupported` for options
 * that do not go together or that this host lacks
 * @public
 */
export async function createLuks({ io, passphrase, options = {}, now }: LuksCreateInit): Promise<LuksVolume> {
  const encryption = encryptionOf(options)
  const iterTime = checkIterTime(options.iterTime ?? DEFAULT_ITER_TIME)
  const keyBytes = masterKeyBytes(encryption)
  const masterKey = randomBytes(keyBytes)
  try {
    const cipher = await volumeCipher(encryption, masterKey)
    const masterKeySalt = randomBytes(SALT_BYTES)
    // The master key is no guess of a human: an eighth of the time is plenty.
    const masterKeyIterations = await benchmarkPbkdf2(encryption.hashAlg, MASTER_DIGEST_BYTES, Math.floor(iterTime / 8), now)
    const empty: LuksHeader = {
      encryption,
      keyBytes,
      payloadOffset: slotOffset(keyBytes, KEYSLOTS),
      masterKeyDigest: await pbkdf2(encryption.hashAlg, masterKey, masterKeySalt, masterKeyIterations, MASTER_DIGEST_BYTES),
      masterKeySalt,
      masterKeyIterations,
      uuid: crypto.randomUUID(),
      keyslots: Array.from({ length: KEYSLOTS }, (_, index) => emptySlot(keyBytes, index)),
    }
    const iterations = await benchmarkPbkdf2(encryption.hashAlg, keyBytes, iterTime, now)
    const header = await storeKeyslot(io, empty, 0, { masterKey, passphrase, iterations })
    return { header, cipher, keyslot: 0 }
  } finally {
    masterKey.fill(0)
  }
}

/** @internal */
export function checkIterTime(milliseconds: number): number {
  if (Number.isSafeInteger(milliseconds) && milliseconds >= 0) return milliseconds
  throw new BlockError('invalid', `Parameter 'iter-time' must be a whole number of milliseconds, not ${milliseconds}`, { detail: { option: 'iter-time' } })
}

function encryptionOf(options: LuksCreateOptions): LuksEncryption {
  const { cipherAlg = 'aes-256', cipherMode = 'xts', ivgenAlg = 'plain64', hashAlg = 'sha256' } = options
  const ivgenHashAlg = options.ivgenHashAlg ?? (ivgenAlg === 'essiv' ? 'sha256' : undefined)
  if (ivgenAlg === 'essiv') checkEssiv(ivgenHashAlg ?? 'sha256')
  const names = { cipherAlg, cipherMode, ivgenAlg, hashAlg }
  return ivgenHashAlg === undefined ? names : { ...names, ivgenHashAlg }
}

function checkEssiv(hash: HashName): void {
  const bytes = digestBytes(hash)
  if (Object.values(CIPHER_KEY_BYTES).includes(bytes)) return
  throw new BlockError('unsupported', `No AES cipher with key size ${bytes} available`, { detail: { option: 'ivgen-hash-alg', hash } })
}

function emptySlot(keyBytes: number, index: number): LuksHeader['keyslots'][number] {
  return { active: false, iterations: 0, salt: new Uint8Array(SALT_BYTES), keyOffset: slotOffset(keyBytes, index), stripes: STRIPES }
}
