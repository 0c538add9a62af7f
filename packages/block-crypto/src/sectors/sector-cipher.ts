import { BlockError } from '@blockloom/block-driver'
import type { SectorThreads } from '../ciphers/sector-threads.ts'

/**
 * Encrypts and decrypts whole sectors. Calls need not be ordered.
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
  /**
   * Encrypts from one buffer into another, which may be the same. Long requests (128 KiB and more, once there have been
   * some) are done by other threads, where the host has them to spare; others are done when it returns.
   *
   * @param into - as long as `from`; neither is touched by others until the promise settles
   * @throws BlockError as {@link SectorCipher.encryptSectors}
   */
  encryptInto(from: Uint8Array, into: Uint8Array, firstSector: number): Promise<void>
  /** Decrypts; otherwise the same as {@link SectorCipher.encryptInto}. */
  decryptInto(from: Uint8Array, into: Uint8Array, firstSector: number): Promise<void>
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

/** Shorter requests are not worth the way to another thread. */
const LONG = 128 * 1024
/** Bytes of long requests that a cipher does here before it starts threads: many images are only looked into. */
const WARM_UP = 8 * 1024 * 1024

/** Guards a mode and cuts requests into parts that stay in the cache. @internal */
export function overSectors(mode: SectorMode, sectorSize: number, threads: SectorThreads | null = null): SectorCipher {
  const most = sectorsAtOnce(sectorSize)
  let warmUp = WARM_UP
  const check = (bytes: Uint8Array, firstSector: number): number => {
    const sectors = bytes.length / sectorSize
    if (!Number.isInteger(sectors)) {
      throw new BlockError('invalid', `Encryption works on sectors of ${sectorSize} bytes, not on ${bytes.length} bytes`, { detail: { bytes: bytes.length } })
    }
    if (!Number.isSafeInteger(firstSector) || firstSector < 0 || !Number.isSafeInteger(firstSector + sectors)) {
      throw new BlockError('invalid', `The sector number must be a safe integer, not ${firstSector}`, { detail: { firstSector } })
    }
    return sectors
  }
  const each = (bytes: Uint8Array, firstSector: number, apply: (part: Uint8Array, sector: number) => void): void => {
    const sectors = check(bytes, firstSector)
    for (let done = 0; done < sectors; done += most) {
      apply(bytes.subarray(done * sectorSize, Math.min(done + most, sectors) * sectorSize), firstSector + done)
    }
  }
  const between = async (from: Uint8Array, into: Uint8Array, firstSector: number, encrypts: boolean): Promise<void> => {
    check(from, firstSector)
    if (into.length !== from.length) throw new BlockError('invalid', `${from.length} bytes do not fit ${into.length}`, { detail: { bytes: into.length } })
    const here = (part: Uint8Array, to: Uint8Array, sector: number): void => {
      if (to !== part) to.set(part)
      each(to, sector, encrypts ? mode.encrypt : mode.decrypt)
    }
    if (threads !== null && from.length >= LONG) {
      if (warmUp <= 0) return threads.run(encrypts, from, into, firstSector, here)
      warmUp -= from.length
    }
    here(from, into, firstSector)
  }
  return {
    sectorSize,
    encryptSectors: (bytes, firstSector) => each(bytes, firstSector, mode.encrypt),
    decryptSectors: (bytes, firstSector) => each(bytes, firstSector, mode.decrypt),
    encryptInto: (from, into, firstSector) => between(from, into, firstSector, true),
    decryptInto: (from, into, firstSector) => between(from, into, firstSector, false),
  }
}
