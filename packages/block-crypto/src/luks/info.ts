import type { LuksHeader } from './header.ts'

/** A slot in {@link LuksInfo}; what an inactive one does not have is left out. @public */
export interface LuksSlotInfo {
  readonly active: boolean
  readonly iters?: number
  readonly 'key-offset': number
  readonly stripes?: number
}

/** What `qemu-img info` says about a volume (`format-specific`), with QMP's names. @public */
export interface LuksInfo {
  readonly 'ivgen-alg': string
  readonly 'hash-alg': string
  readonly 'cipher-alg': string
  readonly uuid: string
  readonly 'ivgen-hash-alg'?: string
  readonly 'cipher-mode': string
  readonly slots: readonly LuksSlotInfo[]
  readonly 'payload-offset': number
  readonly 'master-key-iters': number
}

/** Describes a header as QEMU does, members in the same order. @public */
export function luksInfo(header: LuksHeader): LuksInfo {
  const { ivgenAlg, ivgenHashAlg, hashAlg, cipherAlg, cipherMode } = header.encryption
  return {
    'ivgen-alg': ivgenAlg,
    'hash-alg': hashAlg,
    'cipher-alg': cipherAlg,
    uuid: header.uuid,
    ...(ivgenAlg === 'essiv' && ivgenHashAlg !== undefined ? { 'ivgen-hash-alg': ivgenHashAlg } : {}),
    'cipher-mode': cipherMode,
    slots: header.keyslots.map((slot) =>
      slot.active ? { active: true, iters: slot.iterations, 'key-offset': slot.keyOffset, stripes: slot.stripes } : { active: false, 'key-offset': slot.keyOffset }),
    'payload-offset': header.payloadOffset,
    'master-key-iters': header.masterKeyIterations,
  }
}
