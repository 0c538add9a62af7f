import { type ChildHandle, type Extent, limits } from '@blockloom/block-driver'

/** A child over a byte array that grows, notes its requests, and answers a turn later. */
export class MemoryChild implements ChildHandle {
  readonly name = 'file'
  readonly nodeName = 'memory'
  readonly limits = limits()
  readonly writable = true
  readonly zeroInit = true
  bytes: Uint8Array
  readonly reads: [offset: number, length: number][] = []
  readonly writes: [offset: number, length: number][] = []
  flushes = 0
  /** Called before each request; throws or waits to misbehave. */
  before: (what: 'read' | 'write', offset: number, length: number) => Promise<void> = async () => {}

  constructor(bytes: Uint8Array = new Uint8Array(0)) {
    this.bytes = bytes
  }

  size(): number {
    return this.bytes.length
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    this.reads.push([offset, into.length])
    await this.before('read', offset, into.length)
    const there = this.bytes.subarray(offset, offset + into.length)
    into.set(there)
    into.fill(0, there.length)
  }

  async write(offset: number, from: Uint8Array): Promise<void> {
    this.writes.push([offset, from.length])
    await this.before('write', offset, from.length)
    this.#grow(offset + from.length)
    this.bytes.set(from, offset)
  }

  async zero(offset: number, bytes: number): Promise<void> {
    this.#grow(offset + bytes)
    this.bytes.fill(0, offset, offset + bytes)
  }

  async discard(): Promise<void> {}

  async flush(): Promise<void> {
    this.flushes++
  }

  async extents(_offset: number, bytes: number): Promise<Extent> {
    return { kind: 'data', bytes }
  }

  async resize(size: number): Promise<void> {
    this.#grow(size)
    this.bytes = this.bytes.slice(0, size)
  }

  async allocatedSize(): Promise<number> {
    return this.bytes.length
  }

  #grow(size: number): void {
    if (size <= this.bytes.length) return
    const grown = new Uint8Array(size)
    grown.set(this.bytes)
    this.bytes = grown
  }
}
