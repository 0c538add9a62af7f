import type { SectorCipher } from '@blockloom/block-crypto'
import type { Limits } from '@blockloom/block-driver'
import type { Qcow2Image } from '../image.ts'
import { ScratchBuffers } from './scratch-buffers.ts'

/** Encryption works on sectors of this size, whatever the header says elsewhere. @internal */
export const ENCRYPTION_SECTOR = 512

/**
 * Encrypts and decrypts guest data. Offsets and lengths are whole sectors.
 *
 * @internal
 */
export interface DataCipher {
  /** In place. @param guest - offset of the first byte on the guest's disk; `host`: in the file that holds it */
  encrypt(bytes: Uint8Array, guest: number, host: number): void
  /** Encrypts a copy for `use`, which has it until its promise settles; long requests on other threads. */
  encryptFor(from: Uint8Array, guest: number, host: number, use: (encrypted: Uint8Array) => Promise<void>): Promise<void>
  /** Decrypts in place; long requests on other threads. Nobody else touches the bytes meanwhile. */
  decrypt(bytes: Uint8Array, guest: number, host: number): Promise<void>
}

/**
 * The cipher of an image: LUKS counts sectors from the start of the file that holds the data, the old AES from the start
 * of the guest's disk. Spec, "Data encryption".
 *
 * @internal
 */
export function dataCipher(cipher: SectorCipher, countsFrom: 'guest' | 'host'): DataCipher {
  const sector = (guest: number, host: number): number => (countsFrom === 'host' ? host : guest) / ENCRYPTION_SECTOR
  const buffers = new ScratchBuffers()
  return {
    encrypt: (bytes, guest, host) => cipher.encryptSectors(bytes, sector(guest, host)),
    encryptFor: (from, guest, host, use) =>
      buffers.lend(from.length, async (into) => {
        await cipher.encryptInto(from, into, sector(guest, host))
        await use(into)
      }),
    decrypt: (bytes, guest, host) => cipher.decryptInto(bytes, bytes, sector(guest, host)),
  }
}

/** What encryption asks of requests: they are whole sectors. @internal */
export function encryptedAlignment({ encryption }: Pick<Qcow2Image, 'encryption'>): Partial<Limits> {
  return encryption === null ? {} : { requestAlignment: ENCRYPTION_SECTOR }
}
