import { aesBlocks, digest, sectorThreads } from '@blockloom/block-crypto/ciphers'
import { BlockError } from '@blockloom/block-driver'
import { type AesBlocks, BLOCK } from '../ciphers/aes-blocks.ts'
import type { HashName } from '../ciphers/hash-name.ts'
import { cbc } from './cbc.ts'
import { ecb } from './ecb.ts'
import { type IvGenerator, type IvGeneratorName, ivGenerator } from './iv-generator.ts'
import { type SectorCipher, type SectorMode, overSectors, sectorsAtOnce } from './sector-cipher.ts'
import { xts } from './xts.ts'

/** How blocks are chained inside a sector. `ecb` does not chain and hides little: for images that exist. @public */
export type CipherModeName = 'xts' | 'cbc' | 'ecb'

/** What a sector cipher is made of; AES is the cipher. @public */
export interface SectorCipherInit {
  readonly mode: CipherModeName
  /** 16, 24 or 32 bytes; for `xts` twice that: the data's half, then the tweak's. It is copied. */
  readonly key: Uint8Array
  readonly ivGenerator: IvGeneratorName
  /** What hashes the key for `essiv`; default `sha256`. Its digest must have the length of an AES key. */
  readonly ivHash?: HashName | undefined
  /** Bytes per sector: a multiple of 16, at most 65536; default 512. */
  readonly sectorSize?: number
}

const MAX_SECTOR = 65536

/**
 * Makes the cipher of a volume.
 *
 * @throws BlockError `invalid` for a key or sector size that does not fit; `unsupported` for an `ivHash` that this host
 * lacks or whose digest is no AES key
 * @public
 */
export async function createSectorCipher(init: SectorCipherInit): Promise<SectorCipher> {
  const { key, sectorSize = 512 } = init
  if (!Number.isInteger(sectorSize) || sectorSize < BLOCK || sectorSize > MAX_SECTOR || sectorSize % BLOCK !== 0) {
    throw new BlockError('invalid', `The sector size must be a multiple of 16 up to ${MAX_SECTOR}, not ${sectorSize}`, { detail: { sectorSize } })
  }
  const ivs = await ivsFor(init, sectorsAtOnce(sectorSize))
  const mode = sectorMode(init.mode, key, ivs, sectorSize)
  const isThreaded = init.mode === 'xts' && init.ivGenerator !== 'essiv'
  return overSectors(mode, sectorSize, isThreaded ? sectorThreads({ key, ivBits: init.ivGenerator === 'plain' ? 32 : 64, sectorSize }) : null)
}

function sectorMode(mode: CipherModeName, key: Uint8Array, ivs: IvGenerator, sectorSize: number): SectorMode {
  if (mode === 'ecb') return ecb(aesBlocks(key))
  if (mode === 'cbc') return cbc(aesBlocks(key), ivs, sectorSize)
  if (key.length % 2 !== 0) throw new BlockError('invalid', 'XTS cipher key length should be a multiple of 2', { detail: { bytes: key.length } })
  const half = key.length / 2
  return xts(aesBlocks(key.subarray(0, half)), aesBlocks(key.subarray(half)), ivs, sectorSize, sectorsAtOnce(sectorSize))
}

async function ivsFor(init: SectorCipherInit, most: number): Promise<IvGenerator> {
  if (init.ivGenerator !== 'essiv') return ivGenerator(init.ivGenerator === 'plain' ? 32 : 64, most)
  return ivGenerator(64, most, essivCipher(await digest(init.ivHash ?? 'sha256', init.key)))
}

function essivCipher(hashedKey: Uint8Array): AesBlocks {
  const bytes = hashedKey.length
  if (bytes === 16 || bytes === 24 || bytes === 32) return aesBlocks(hashedKey)
  throw new BlockError('unsupported', `No AES cipher with key size ${bytes} available`, { detail: { bytes } })
}
