import { BlockError } from '@blockloom/block-driver'

/**
 * Encrypts and decrypts whole sectors in place. Calls answer at once and need not be ordered.
 *
 * @public
 */
export interface SectorCipher {
  /** Bytes per sector. */
  readonly sectorSize: number
  /**
   * Encrypts in place.
   *
   * @param bytes - whole sectors, any number, at any place of a buffer
   * @param firstSector - the number of the first one; what numbers count from is the format's business
   * @throws BlockError `invalid` for a part of a sector, or a number that is not a safe integer; nothing has changed then
   */
  encryptSectors(bytes: Uint8Array, firstSector: number): void
  /** Decrypts in place; otherwise the same as {@link SectorCipher.encryptSectors}. */
  decryptSectors(bytes: Uint8Array, firstSector: number): void
}

/** One way of chaining blocks inside a sector. It works on a few sectors at a time, in place. @internal */
export interface SectorMode {
  encrypt(part: Uint8Array, firstSector: number): void
  decrypt(part: Uint8Array, firstSector: number): void
}

// Two such buffers, input and tweaks, stay in the processor's second-level cache.
const CHUNK = 65536

/** Sectors that a mode is given at most at once. @internal */
export function sectorsAtOnce(sectorSize: number): number {
  return Math.max(1, Math.floor(CHUNK / sectorSize))
}

/** Guards a mode and cuts requests into parts that stay in the cache. @internal */
export function overSectors(mode: SectorMode, sectorSize: number): SectorCipher {
  const most = sectorsAtOnce(sectorSize)
  const each = (bytes: Uint8Array, firstSector: number, apply: (part: Uint8Array, sector: number) => void): void => {
    const sectors = bytes.length / sectorSize
    if (!Number.isInteger(sectors)) {
      throw new BlockError('invalid', `Encryption works on sectors of ${sectorSize} bytes, not on ${bytes.length} bytes`, { detail: { bytes: bytes.length } })
    }
    if (!Number.isSafeInteger(firstSector) || firstSector < 0 || !Number.isSafeInteger(firstSector + sectors)) {
      throw new BlockError('invalid', `The sector number must be a safe integer, not ${firstSector}`, { detail: { firstSector } })
    }
    for (let done = 0; done < sectors; done += most) {
      apply(bytes.subarray(done * sectorSize, Math.min(done + most, sectors) * sectorSize), firstSector + done)
    }
  }
  return {
    sectorSize,
    encryptSectors: (bytes, firstSector) => each(bytes, firstSector, mode.encrypt),
    decryptSectors: (bytes, firstSector) => each(bytes, firstSector, mode.decrypt),
  }
}
