import type { SectorCipher } from '@blockloom/block-crypto'
import type { Limits } from '@blockloom/block-driver'
import type { Qcow2Image } from '../image.ts'

/** Encryption works on sectors of this size, whatever the header says elsewhere. @internal */
export const ENCRYPTION_SECTOR = 512

/**
 * Encrypts and decrypts guest data in place. Offsets and lengths are whole sectors.
 *
 * @internal
 */
export interface DataCipher {
  /** @param guest - offset of the first byte on the guest's disk; `host`: in the file that holds it */
  encrypt(bytes: Uint8Array, guest: number, host: number): void
  /** The same the other way. */
  decrypt(bytes: Uint8Array, guest: number, host: number): void
}

/**
 * The cipher of an image: LUKS counts sectors from the start of the file that holds the data, the old AES from the start
 * of the guest's disk. Spec, "Data encryption".
 *
 * @internal
 */
export function dataCipher(cipher: SectorCipher, countsFrom: 'guest' | 'host'): DataCipher {
  const byHost = countsFrom === 'host'
  return {
    encrypt: (bytes, guest, host) => cipher.encryptSectors(bytes, (byHost ? host : guest) / ENCRYPTION_SECTOR),
    decrypt: (bytes, guest, host) => cipher.decryptSectors(bytes, (byHost ? host : guest) / ENCRYPTION_SECTOR),
  }
}

/** What encryption asks of requests: they are whole sectors. @internal */
export function encryptedAlignment({ encryption }: Pick<Qcow2Image, 'encryption'>): Partial<Limits> {
  return encryption === null ? {} : { requestAlignment: ENCRYPTION_SECTOR }
}
