import type { Clock } from '@blockloom/block-driver'

/** Moves bytes between buffers and one descriptor. Rejects with the errors of `node:fs`. @internal */
export interface HostIo {
  /** Fills all of `into`; past the end of the file are zeroes. {@link DONE} itself if it was done at once. */
  read(offset: number, into: Uint8Array): Promise<void>
  /** {@link DONE} itself if it was done at once. */
  write(offset: number, from: Uint8Array): Promise<void>
  /** Measures its calls by another clock. */
  attach(clock: Clock): void
}
