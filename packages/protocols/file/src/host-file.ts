import type { BlockErrorDetail, Clock, FlushScope, Limits } from '@blockloom/block-driver'
import { BlockError, DONE, limits } from '@blockloom/block-driver'
import * as fs from 'node:fs'
import { hostError } from './errno.ts'
import { BufferedIo } from './io/buffered.ts'
import { DirectIo, MEMORY_ALIGNMENT, probeRequestAlignment } from './io/direct.ts'
import type { HostIo } from './io/host-io.ts'
import type { Libc } from './native/libc.ts'
import type { Descriptor } from './open.ts'

/** A descriptor and how it is read and written. @internal */
export interface Opened {
  readonly descriptor: Descriptor
  readonly io: HostIo
  readonly limits: Limits
}

/**
 * An open regular file: its descriptor, which `reopen` may replace, and what is known about it.
 *
 * @internal
 */
export class HostFile {
  readonly path: string
  readonly libc: Libc | null
  clock: Clock
  /** Bytes. Other processes' changes are seen by {@link HostFile.refresh} only. */
  size: number
  /** Where data began when a hole was last seen: a guess. */
  dataBehindHole = -1
  /** A `stable` flush does nothing. */
  noFlush = false
  #open: Opened
  #flushFailure: BlockError | null = null

  constructor(path: string, descriptor: Descriptor, libc: Libc | null, clock: Clock) {
    this.path = path
    this.libc = libc
    this.clock = clock
    this.size = descriptor.size
    this.#open = this.plan(descriptor)
  }

  get fd(): number {
    return this.#open.descriptor.fd
  }

  get readOnly(): boolean {
    return this.#open.descriptor.readOnly
  }

  get direct(): boolean {
    return this.#open.descriptor.direct
  }

  /** Tells whether two descriptors are of the same file. */
  get identity(): string {
    return this.#open.descriptor.identity
  }

  get limits(): Limits {
    return this.#open.limits
  }

  /** Prepares to go on with another descriptor of the same file. */
  plan(descriptor: Descriptor): Opened {
    if (!descriptor.direct) return { descriptor, io: new BufferedIo(descriptor.fd, this.libc, this.clock), limits: limits() }
    const libc = this.libc!
    const align = probeRequestAlignment(descriptor.fd, libc)
    return {
      descriptor,
      io: new DirectIo(descriptor.fd, libc),
      limits: limits({ requestAlignment: align, memoryAlignment: MEMORY_ALIGNMENT, zeroAlignment: align, discardAlignment: align }),
    }
  }

  /** Goes on with what was planned; returns the old descriptor, still open. Cannot fail. */
  replace(next: Opened): Descriptor {
    const { descriptor } = this.#open
    this.#open = next
    return descriptor
  }

  attach(clock: Clock): void {
    this.clock = clock
    this.#open.io.attach(clock)
  }

  /** Fills all of `into`; past the end of the file are zeroes. */
  read(offset: number, into: Uint8Array): Promise<void> {
    const reading = this.#open.io.read(offset, into)
    if (reading === DONE) return reading
    return reading.catch((error: unknown) => {
      throw this.error(error, 'Could not read from', { offset, bytes: into.length })
    })
  }

  write(offset: number, from: Uint8Array): Promise<void> {
    const writing = this.#open.io.write(offset, from)
    if (writing === DONE) {
      this.grown(offset + from.length)
      return writing
    }
    return writing.then(
      () => this.grown(offset + from.length),
      async (error: unknown) => {
        // Part of it may have been written, and the file have grown.
        await this.stat().then(({ size }) => this.grown(size), () => undefined)
        throw this.error(error, 'Could not write to', { offset, bytes: from.length })
      },
    )
  }

  /** The file reaches at least to `end` now. */
  grown(end: number): void {
    if (end > this.size) this.size = end
  }

  async flush(scope: FlushScope): Promise<void> {
    if (scope === 'host' || this.noFlush) return
    if (this.#flushFailure !== null) throw this.#flushFailure
    try {
      await call<void>((done) => fs.fdatasync(this.fd, done))
    } catch (error) {
      const failure = this.error(error, 'Could not flush')
      // The host has dropped what it could not write, and says so only once: nothing written before is safe any more.
      if (!this.#open.descriptor.direct) this.#flushFailure = failure
      throw failure
    }
  }

  async truncate(size: number): Promise<void> {
    try {
      await call<void>((done) => fs.ftruncate(this.fd, size, done))
    } catch (error) {
      throw this.error(error, 'Could not resize', { size })
    }
    this.size = size
  }

  /** Asks the host for the size again; no write that could make the file grow is in flight. */
  async refresh(): Promise<void> {
    this.size = (await this.stat()).size
  }

  async stat(): Promise<fs.Stats> {
    try {
      return await call<fs.Stats>((done) => fs.fstat(this.fd, done))
    } catch (error) {
      throw this.error(error, 'Could not examine')
    }
  }

  async close(): Promise<void> {
    await closeDescriptor(this.#open.descriptor)
  }

  error(cause: unknown, what: string, detail: BlockErrorDetail = {}): BlockError {
    return hostError(cause, `${what} '${this.path}'`, { filename: this.path, ...detail })
  }
}

/** @internal */
export async function closeDescriptor({ fd }: Descriptor): Promise<void> {
  await call<void>((done) => fs.close(fd, done))
}

function call<T>(start: (done: (error: NodeJS.ErrnoException | null, value: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => start((error, value) => (error === null || error === undefined ? resolve(value) : reject(error))))
}
