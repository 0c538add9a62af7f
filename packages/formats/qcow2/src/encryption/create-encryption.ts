import { createLuks, luksPayloadOffset, qcowAesCipher, type LuksCreateOptions } from '@blockloom/block-crypto'
import { BlockError, type ChildHandle, type CreateContext } from '@blockloom/block-driver'
import type { Qcow2CreateOptions } from '../create-options.ts'
import type { EncryptionPointer } from '../on-disk/header-extensions.ts'
import { cryptoHeaderIo } from './crypto-header-io.ts'
import { dataCipher, type DataCipher } from './data-cipher.ts'
import type { EncryptCreateOptions } from './options.ts'
import { lookUpPassphrase } from './passphrase.ts'

/** How a new image is encrypted. @internal */
export interface NewEncryption {
  readonly format: 'aes' | 'luks'
  readonly keySecret: string | undefined
  readonly luks: LuksCreateOptions
  /** Bytes of the encryption header; 0 for the old AES. */
  readonly headerBytes: number
}

type LuksNames = Exclude<keyof EncryptCreateOptions, 'format' | 'key-secret'>

/** What can be made, by option; the reference makes more. */
const CHOICES = {
  'cipher-alg': ['aes-128', 'aes-192', 'aes-256'],
  'cipher-mode': ['xts', 'cbc', 'ecb'],
  'ivgen-alg': ['plain', 'plain64', 'essiv'],
  'ivgen-hash-alg': ['md5', 'sha1', 'sha224', 'sha256', 'sha384', 'sha512', 'ripemd160'],
  'hash-alg': ['md5', 'sha1', 'sha224', 'sha256', 'sha384', 'sha512', 'ripemd160'],
} as const

const LUKS_NAMES: readonly LuksNames[] = [...(Object.keys(CHOICES) as (keyof typeof CHOICES)[]), 'iter-time']

/**
 * Checks the encryption among creation options, with the words of qemu-img 7.2.
 *
 * @returns null if there shall be none
 * @throws BlockError `invalid` or `unsupported` that names the option
 * @internal
 */
export function newEncryption({ encrypt = {}, encryption }: Qcow2CreateOptions): NewEncryption | null {
  if (encryption === true && encrypt.format !== undefined) {
    throw invalid('encryption', "'encrypt.format' and its alias 'encryption' can't be used at the same time")
  }
  const format = encryption === true ? 'aes' : encrypt.format
  const keySecret = encrypt['key-secret']
  if (format === undefined) {
    if (Object.keys(encrypt).length > 0) throw invalid('encrypt.format', "Parameter 'encrypt.format' is missing")
    return null
  }
  // QAPI's name of the old one.
  if (format === 'aes' || format === 'qcow') {
    const other = LUKS_NAMES.find((name) => encrypt[name] !== undefined)
    if (other !== undefined) throw invalid(`encrypt.${other}`, `Parameter 'encrypt.${other}' is unexpected`)
    return { format: 'aes', keySecret, luks: {}, headerBytes: 0 }
  }
  if (format !== 'luks') throw invalid('encrypt.format', `Parameter 'format' does not accept value '${format}'`)
  const luks: LuksCreateOptions = {
    cipherAlg: chosen(encrypt, 'cipher-alg'),
    cipherMode: chosen(encrypt, 'cipher-mode'),
    ivgenAlg: chosen(encrypt, 'ivgen-alg'),
    ivgenHashAlg: chosen(encrypt, 'ivgen-hash-alg'),
    hashAlg: chosen(encrypt, 'hash-alg'),
    iterTime: encrypt['iter-time'],
  }
  return { format, keySecret, luks, headerBytes: luksPayloadOffset(luks) }
}

/** What writes the encryption header of a new image, when its place is known. @internal */
export interface EncryptionWriter {
  /**
   * Writes the header, whose space reads as zeroes.
   *
   * @param pointer - where it is; null for the old AES
   */
  write(file: ChildHandle, pointer: EncryptionPointer | null): Promise<DataCipher>
}

/**
 * Looks the passphrase up, before any file is touched.
 *
 * @throws BlockError `invalid` without a secret; what the lookup throws
 * @internal
 */
export async function encryptionWriter({ secret, clock }: CreateContext<unknown>, { format, keySecret, luks }: NewEncryption): Promise<EncryptionWriter> {
  const passphrase = await lookUpPassphrase(secret, keySecret)
  return {
    async write(file, pointer) {
      if (format === 'aes') return dataCipher(qcowAesCipher(passphrase), 'guest')
      const { cipher } = await createLuks({ io: cryptoHeaderIo(file, pointer!), passphrase, options: luks, now: () => clock.now() })
      return dataCipher(cipher, 'host')
    },
  }
}

function chosen<N extends keyof typeof CHOICES>(encrypt: EncryptCreateOptions, name: N): (typeof CHOICES)[N][number] | undefined {
  const value = encrypt[name]
  const choices: readonly string[] = CHOICES[name]
  if (value === undefined || choices.includes(value)) return value as (typeof CHOICES)[N][number] | undefined
  throw invalid(`encrypt.${name}`, `Parameter '${name}' does not accept value '${value}'`)
}

function invalid(option: string, message: string): BlockError {
  return new BlockError('invalid', message, { detail: { option } })
}
