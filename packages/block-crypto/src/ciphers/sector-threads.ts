/** What threads need to know of an XTS cipher. @public */
export interface ThreadedXts {
  /** The data's half, then the tweak's. It is copied. */
  readonly key: Uint8Array
  /** Bits of the sector's number in the initialization vector: `plain`, `plain64`. */
  readonly ivBits: 32 | 64
  readonly sectorSize: number
}

/** Whole sectors from one buffer into another, which may be the same. @public */
export type SectorTransform = (from: Uint8Array, into: Uint8Array, firstSector: number) => void

/** Threads that encrypt and decrypt long requests for one cipher. @public */
export interface SectorThreads {
  /**
   * Transforms whole sectors from one buffer into another, which may be the same.
   *
   * @param otherwise - does it here, for the parts that no thread did
   */
  run(encrypts: boolean, from: Uint8Array, into: Uint8Array, firstSector: number, otherwise: SectorTransform): Promise<void>
}
