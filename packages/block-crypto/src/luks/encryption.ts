import { BlockError } from '@blockloom/block-driver'
import { type HashName, isHashName } from '../ciphers/hash-name.ts'
import type { CipherModeName } from '../sectors/create-sector-cipher.ts'
import type { IvGeneratorName } from '../sectors/iv-generator.ts'
import { CIPHER_KEY_BYTES, type CipherAlgName } from './names.ts'

/** How a LUKS volume is encrypted, in QEMU's terms. @public */
export interface LuksEncryption {
  readonly cipherAlg: CipherAlgName
  readonly cipherMode: CipherModeName
  readonly ivgenAlg: IvGeneratorName
  /** Only where the header names one. */
  readonly ivgenHashAlg?: HashName
  /** Of PBKDF2 and of the anti-forensic splitter. */
  readonly hashAlg: HashName
}

/**
 * Reads the three names of a header; `xts-plain64`, `cbc-essiv:sha256`.
 *
 * @throws BlockError `unsupported` or `corrupt`, naming what is not known
 * @internal
 */
export function parseEncryption(cipherName: string, mode: string, hashSpec: string, keyBytes: number): LuksEncryption {
  const dash = mode.indexOf('-')
  if (dash < 0) throw new BlockError('corrupt', `Unexpected cipher mode string format '${mode}'`, { detail: { field: 'cipher-mode' } })
  const [ivgen = '', ...hash] = mode.slice(dash + 1).split(':')
  const ivgenHash = hash.length === 0 ? undefined : hash.join(':')
  const cipherMode = known('Cipher mode', 'cipher-mode', mode.slice(0, dash), isCipherMode)
  const hashAlg = known('Hash algorithm', 'hash-spec', hashSpec, isHashName)
  const ivgenAlg = known('IV generator', 'cipher-mode', ivgen, isIvGenerator)
  if (ivgenAlg === 'essiv' && ivgenHash === undefined) {
    throw new BlockError('corrupt', 'Missing IV generator hash specification', { detail: { field: 'cipher-mode' } })
  }
  const cipherAlg = cipherOf(cipherName, cipherMode === 'xts' ? keyBytes / 2 : keyBytes, keyBytes)
  const names = { cipherAlg, cipherMode, ivgenAlg, hashAlg }
  return ivgenHash === undefined ? names : { ...names, ivgenHashAlg: known('Hash algorithm', 'cipher-mode', ivgenHash, isHashName) }
}

/** The mode as the header spells it. @internal */
export function formatCipherMode({ cipherMode, ivgenAlg, ivgenHashAlg }: LuksEncryption): string {
  return ivgenHashAlg === undefined ? `${cipherMode}-${ivgenAlg}` : `${cipherMode}-${ivgenAlg}:${ivgenHashAlg}`
}

/** Bytes of the master key. @internal */
export function masterKeyBytes({ cipherAlg, cipherMode }: LuksEncryption): number {
  return CIPHER_KEY_BYTES[cipherAlg] * (cipherMode === 'xts' ? 2 : 1)
}

function cipherOf(name: string, aesBytes: number, keyBytes: number): CipherAlgName {
  if (name !== 'aes') throw new BlockError('unsupported', `Algorithm '${name}' with key size ${keyBytes} bytes not supported`, { detail: { field: 'cipher-name', name } })
  for (const [alg, bytes] of Object.entries(CIPHER_KEY_BYTES)) {
    if (bytes === aesBytes) return alg as CipherAlgName
  }
  throw new BlockError('corrupt', `Algorithm '${name}' with key size ${keyBytes} bytes not supported`, { detail: { field: 'key-bytes', keyBytes } })
}

function known<T extends string>(what: string, field: string, name: string, is: (name: string) => name is T): T {
  if (is(name)) return name
  throw new BlockError('unsupported', `${what} '${name}' not supported`, { detail: { field, name } })
}

function isCipherMode(name: string): name is CipherModeName {
  return name === 'xts' || name === 'cbc' || name === 'ecb'
}

function isIvGenerator(name: string): name is IvGeneratorName {
  return name === 'plain' || name === 'plain64' || name === 'essiv'
}
