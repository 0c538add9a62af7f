import type { LuksEncryption } from './encryption.ts'

/** One of the eight places for a passphrase. @public */
export interface LuksKeyslot {
  readonly active: boolean
  /** Of PBKDF2; 0 in a slot that was erased. */
  readonly iterations: number
  /** 32 bytes. */
  readonly salt: Uint8Array
  /** Where its material starts: bytes from the start of the header. */
  readonly keyOffset: number
  readonly stripes: number
}

/** A LUKS1 header, checked. @public */
export interface LuksHeader {
  readonly encryption: LuksEncryption
  /** Bytes of the master key. */
  readonly keyBytes: number
  /** Where the encrypted data starts: bytes from the start of the header. */
  readonly payloadOffset: number
  /** 20 bytes that the right master key gives. */
  readonly masterKeyDigest: Uint8Array
  /** 32 bytes. */
  readonly masterKeySalt: Uint8Array
  readonly masterKeyIterations: number
  /** As text; not checked to be one. */
  readonly uuid: string
  /** Always eight. */
  readonly keyslots: readonly LuksKeyslot[]
}
