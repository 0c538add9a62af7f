import type { Attempt } from '@blockloom/block-driver'
import { constants } from 'node:os'
import { systemError } from '../errno.ts'
import type { HostFile } from '../host-file.ts'
import { isMissing } from '../native/libc.ts'
import { Pacer, WRITE_PACE } from '../io/pacer.ts'

const { EINTR, EINVAL } = constants.errno
const MAX_INTERRUPTIONS = 1000
/** Longer ranges may have many extents on the host: they go to another thread. */
const SHORT = 1048576

/** Modes of fallocate(2), Linux. @internal */
export const FALLOCATE = {
  /** Reserves space and grows the file; content stays. */
  RESERVE: 0x00,
  /** FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE */
  PUNCH_HOLE: 0x03,
  /** FALLOC_FL_ZERO_RANGE; grows the file. */
  ZERO_RANGE: 0x10,
} as const

/** fallocate(2) on one file: at once while that is quick, and never again what the file system does not have. @internal */
export class Fallocate {
  readonly #file: HostFile
  readonly #pacer: Pacer
  readonly #missing = new Set<number>()

  constructor(file: HostFile) {
    this.#file = file
    this.#pacer = new Pacer(WRITE_PACE, file.clock)
  }

  /** @throws BlockError for everything but "the file system does not do that" */
  async call(mode: number, offset: number, bytes: number): Promise<Attempt> {
    if (this.#missing.has(mode)) return 'unsupported'
    for (let interruptions = 0; ; interruptions++) {
      const result = await this.#once(mode, offset, bytes)
      if (result >= 0) return 'done'
      if (result === -EINTR && interruptions < MAX_INTERRUPTIONS) continue
      if (isMissing(result)) {
        this.#missing.add(mode)
        return 'unsupported'
      }
      // Some file systems refuse certain ranges only.
      if (result === -EINVAL) return 'unsupported'
      throw this.#file.error(systemError('fallocate', -result), 'Could not change the allocation of', { offset, bytes })
    }
  }

  #once(mode: number, offset: number, bytes: number): number | Promise<number> {
    const { fd, libc, clock } = this.#file
    this.#pacer.clock = clock
    const now = bytes <= SHORT ? this.#pacer.attempt(() => libc!.fallocateNow(fd, mode, offset, bytes), 0) : undefined
    return now ?? libc!.fallocate(fd, mode, offset, bytes)
  }
}
