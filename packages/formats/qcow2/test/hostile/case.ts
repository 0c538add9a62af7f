import type { Handle } from './handle.ts'

/** Valid images that cases start from. */
export type Base = 'plain' | 'version 2' | '512' | 'zstd' | 'extended' | 'snapshots' | 'bitmaps' | 'data file' | 'large clusters'

/** One malformed image. Expected is what the reference does, in its class: accepted with these bytes, or refused. */
export interface Case {
  readonly name: string
  readonly base: Base
  readonly damage: (image: Handle) => void
  /** What the error's field or message must name. */
  readonly names?: RegExp
  /** Where we and the reference differ on purpose, and why. */
  readonly differs?: {
    readonly info?: 'accepts' | 'refuses'
    readonly read?: 'accepts' | 'refuses'
    readonly check?: 'accepts' | 'refuses'
    readonly why: string
  }
  /**
   * The bitmaps are broken, or seem so. The reference then refuses the whole image; it is enough that the bitmaps are
   * refused, as long as the guest's bytes are right.
   */
  readonly bitmaps?: 'broken'
  /** Also written to: no outcome is wrong but a hang or another error than a BlockError. */
  readonly write?: true
}
