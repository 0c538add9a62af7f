import { openLuks, qcowAesCipher, readLuksHeader } from '@blockloom/block-crypto'
import { BlockError, type ChildHandle, type OpenContext } from '@blockloom/block-driver'
import type { DecodedHeaderArea } from '../on-disk/header-area.ts'
import type { Qcow2Options } from '../options.ts'
import { cryptoHeaderIo } from './crypto-header-io.ts'
import { dataCipher } from './data-cipher.ts'
import type { Encryption } from './encryption.ts'
import { lookUpPassphrase } from './passphrase.ts'

/**
 * Finds out how an image is encrypted and, unless only its metadata is asked for, unlocks it.
 *
 * @returns null if it is not encrypted
 * @throws BlockError `invalid` for options that do not fit the image, or without a secret; `denied` (EPERM) for a wrong
 *   passphrase; `corrupt` or `unsupported` for a LUKS header. The old AES cannot tell a wrong passphrase from the right one
 * @internal
 */
export async function openEncryption(context: OpenContext<Qcow2Options>, area: DecodedHeaderArea, file: ChildHandle): Promise<Encryption | null> {
  const format = area.header.encryption
  const { format: wanted, 'key-secret': keySecret } = context.options.encrypt ?? {}
  if (wanted !== undefined && wanted !== format) {
    const found = format === 'none' ? 'No encryption in image header, but options specified format' : `Header reported '${format}' encryption format but options specify`
    throw new BlockError('invalid', `${found} '${wanted}'`, { detail: { option: 'encrypt.format' } })
  }
  if (format === 'none') return null
  const { secret, clock, mode, signal } = context
  const common = { format, keySecret, secret, clock }
  if (format === 'aes') {
    const cipher = mode.noIo ? null : dataCipher(qcowAesCipher(await lookUpPassphrase(secret, keySecret)), 'guest')
    return { ...common, header: null, cipher }
  }
  const io = cryptoHeaderIo(file, area.extensions.encryption!)
  if (mode.noIo) return { ...common, header: await readLuksHeader(io), cipher: null }
  const volume = await openLuks(io, await lookUpPassphrase(secret, keySecret), { signal })
  return { ...common, header: volume.header, cipher: dataCipher(volume.cipher, 'host') }
}
