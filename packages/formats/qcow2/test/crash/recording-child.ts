import { limits, type ChildHandle, type Extent, type FlushScope } from '@blockloom/block-driver'
import type { RecordingDisk } from './recording-disk.ts'

/** A recording disk as the child of an image. */
export class RecordingChild implements ChildHandle {
  readonly name: string
  readonly nodeName = '#recording'
  readonly limits = limits()
  readonly writable = true
  readonly zeroInit = true
  readonly #disk: RecordingDisk

  constructor(name: string, disk: RecordingDisk) {
    this.name = name
    this.#disk = disk
  }

  size(): number {
    return this.#disk.size
  }

  read(offset: number, into: Uint8Array): Promise<void> {
    return this.#disk.read(offset, into)
  }

  write(offset: number, from: Uint8Array): Promise<void> {
    return this.#disk.change('write', offset, from.length, from)
  }

  zero(offset: number, bytes: number): Promise<void> {
    return this.#disk.change('fill', offset, bytes)
  }

  discard(offset: number, bytes: number): Promise<void> {
    return this.#disk.discard(offset, bytes)
  }

  async flush(scope: FlushScope): Promise<void> {
    if (scope === 'stable') await this.#disk.flush()
  }

  async extents(offset: number, bytes: number): Promise<Extent> {
    return { kind: 'data', bytes, host: { child: null, offset } }
  }

  resize(size: number): Promise<void> {
    return this.#disk.change('resize', 0, size)
  }

  async allocatedSize(): Promise<number> {
    return this.#disk.size
  }
}
