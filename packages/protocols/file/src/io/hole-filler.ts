import { constants } from 'node:os'
import type { Libc } from '../native/libc.ts'
import { SEEK_DATA } from '../native/libc.ts'

const { ENXIO } = constants.errno
/** Shorter writes pay more for the two calls than they gain. */
const LONG_WRITE = 256 * 1024
/** The longest block of ext4 on most hosts; shorter ones divide it. */
const BLOCK = 4096
/** FALLOC_FL_KEEP_SIZE of fallocate(2). */
const KEEP_SIZE = 1
/** f_type of statfs(2): EXT4_SUPER_MAGIC, which ext2 and ext3 share. */
const EXT4 = 0xef53

/**
 * Allocates holes at once that are about to be filled.
 *
 * ext4 notes block by block what buffered writes will need, unless there are blocks already; that takes as long as copying
 * the data (measured on Linux 6.18: 780 MiB written into a hole in pieces of 1 MiB, 162 ms without and 101 ms with this;
 * 590 and 520 ms if it is then flushed). Other file systems are left alone: some of them place data better if they
 * are asked late.
 *
 * @internal
 */
export class HoleFiller {
  readonly #fd: number
  readonly #libc: Libc
  /** Where the last hole was found. */
  #from = 0
  #to = 0

  constructor(fd: number, libc: Libc) {
    this.#fd = fd
    this.#libc = libc
  }

  /** `null` where there is nothing to be gained. */
  static for(fd: number, libc: Libc | null): HoleFiller | null {
    return libc !== null && libc.fileSystemType(fd) === EXT4 ? new HoleFiller(fd, libc) : null
  }

  /**
   * The range will be written next. Only whole blocks are allocated, so that a write that fails half way leaves nothing
   * but zeroes. Never fails: if there is no space, the write says so.
   */
  before(offset: number, bytes: number): void {
    if (bytes < LONG_WRITE) return
    const start = Math.ceil(offset / BLOCK) * BLOCK
    const end = Math.floor((offset + bytes) / BLOCK) * BLOCK
    if (start < this.#from || end > this.#to) this.#find(start)
    if (end > this.#to) return
    this.#libc.fallocateNow(this.#fd, KEEP_SIZE, start, end - start)
    // What others fill meanwhile is allocated once more, for nothing.
    this.#from = end
  }

  /** The hole at `start`; an empty one if there is data. */
  #find(start: number): void {
    const data = this.#libc.seek(this.#fd, start, SEEK_DATA)
    this.#from = start
    // ENXIO: no data from there on.
    this.#to = data === -ENXIO ? Infinity : data
  }
}
