import { aesBlocks } from '@blockloom/block-crypto/ciphers'
import { cbc } from './sectors/cbc.ts'
import { ivGenerator } from './sectors/iv-generator.ts'
import { type SectorCipher, overSectors, sectorsAtOnce } from './sectors/sector-cipher.ts'

const SECTOR = 512
const KEY_BYTES = 16

/**
 * The old encryption of qcow and qcow2 (`encrypt.format=aes`): AES-128-CBC over 512-byte sectors, the number of the guest's
 * sector as the initialization vector, and the passphrase itself as the key.
 *
 * It is for images that exist: the key is as weak as the passphrase, only its first 16 bytes count, and nothing tells
 * a wrong one from the right one.
 *
 * @param passphrase - bytes behind the 16th are ignored, missing ones are zero
 * @public
 */
export function qcowAesCipher(passphrase: Uint8Array): SectorCipher {
  const key = new Uint8Array(KEY_BYTES)
  key.set(passphrase.subarray(0, KEY_BYTES))
  return overSectors(cbc(aesBlocks(key), ivGenerator(64, sectorsAtOnce(SECTOR)), SECTOR), SECTOR)
}
