import * as fs from 'node:fs'
import { errnoOf } from '../errno.ts'
import type { Libc } from '../native/libc.ts'
import type { HostIo } from './host-io.ts'
import { readFully, writeFully } from './threads.ts'

/** Where buffers for O_DIRECT begin: at a page; no device wants more. @internal */
export const MEMORY_ALIGNMENT = 4096
const BOUNCE_BYTES = 1048576
const KEPT_BUFFERS = 8

/**
 * Input and output past the page cache (O_DIRECT). Buffers that do not begin at a page are copied through one
 * that does.
 *
 * @internal
 */
export class DirectIo implements HostIo {
  readonly #fd: number
  readonly #libc: Libc
  readonly #free: Uint8Array[] = []

  constructor(fd: number, libc: Libc) {
    this.#fd = fd
    this.#libc = libc
  }

  attach(): void {}

  async read(offset: number, into: Uint8Array): Promise<void> {
    if (this.#libc.address(into) % MEMORY_ALIGNMENT === 0) return readFully(this.#fd, offset, into, 0)
    await this.#bounced(into.length, async (bounce, done) => {
      await readFully(this.#fd, offset + done, bounce, 0)
      into.set(bounce, done)
    })
  }

  async write(offset: number, from: Uint8Array): Promise<void> {
    if (this.#libc.address(from) % MEMORY_ALIGNMENT === 0) return writeFully(this.#fd, offset, from, 0)
    await this.#bounced(from.length, async (bounce, done) => {
      bounce.set(from.subarray(done, done + bounce.length))
      await writeFully(this.#fd, offset + done, bounce, 0)
    })
  }

  async #bounced(bytes: number, move: (bounce: Uint8Array, done: number) => Promise<void>): Promise<void> {
    const buffer = this.#free.pop() ?? alignedBuffer(this.#libc, BOUNCE_BYTES)
    try {
      for (let done = 0; done < bytes; done += BOUNCE_BYTES) await move(buffer.subarray(0, Math.min(BOUNCE_BYTES, bytes - done)), done)
    } finally {
      if (this.#free.length < KEPT_BUFFERS) this.#free.push(buffer)
    }
  }
}

/**
 * The alignment that O_DIRECT wants of offsets and lengths: the shortest read that is not refused.
 *
 * @internal
 */
export function probeRequestAlignment(fd: number, libc: Libc): number {
  const buffer = alignedBuffer(libc, 65536)
  for (let align = 512; align <= 65536; align *= 2) {
    try {
      fs.readSync(fd, buffer, 0, align, 0)
      return align
    } catch (error) {
      // Other errors are not about alignment: whoever reads for a reason meets them.
      if (errnoOf(error) !== 'EINVAL') return Math.max(align, MEMORY_ALIGNMENT)
    }
  }
  return 65536
}

function alignedBuffer(libc: Libc, bytes: number): Uint8Array {
  const whole = new Uint8Array(bytes + MEMORY_ALIGNMENT)
  const skip = (MEMORY_ALIGNMENT - (libc.address(whole) % MEMORY_ALIGNMENT)) % MEMORY_ALIGNMENT
  return whole.subarray(skip, skip + bytes)
}
