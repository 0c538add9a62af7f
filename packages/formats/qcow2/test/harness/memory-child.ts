import { limits, type ChildHandle, type Extent, type FlushScope, type ResizeOptions } from '@blockloom/block-driver'

/** What a test may see of a child's requests, in the order in which they took effect. */
export type ChildEvent = { readonly child: MemoryChild } & (
  | { readonly op: 'write'; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly op: 'zero'; readonly offset: number; readonly length: number }
  | { readonly op: 'discard'; readonly offset: number; readonly length: number }
  | { readonly op: 'resize'; readonly size: number }
  /** Everything in the log before index `covers` is stable; what came while the flush was running is not. */
  | { readonly op: 'flush'; readonly covers: number }
)

export interface MemoryChildInit {
  readonly name?: string
  readonly content?: Uint8Array
  /** Bytes up to which it grows without being copied. */
  readonly capacity?: number
  /** Where events go; several children can share a log. */
  readonly events?: ChildEvent[]
  /** Called before each request takes effect; may wait or throw. */
  readonly before?: (op: 'read' | 'write' | 'zero' | 'discard' | 'flush' | 'resize', offset: number, bytes: number) => void | Promise<void>
}

/** A child whose bytes are in memory, which remembers what was done to it. */
export class MemoryChild implements ChildHandle {
  readonly name: string
  readonly nodeName = '#memory'
  readonly limits = limits()
  readonly writable = true
  readonly zeroInit: boolean = true
  events: ChildEvent[]
  recording = false
  before: MemoryChildInit['before']
  reads = 0
  #bytes: Uint8Array
  #size: number

  constructor(init: MemoryChildInit = {}) {
    this.name = init.name ?? 'file'
    this.before = init.before
    this.events = init.events ?? []
    this.#size = init.content?.length ?? 0
    this.#bytes = new Uint8Array(Math.max(this.#size, init.capacity ?? (init.content === undefined ? 65536 : 0)))
    if (init.content !== undefined) this.#bytes.set(init.content)
  }

  get content(): Uint8Array {
    return this.#bytes.subarray(0, this.#size)
  }

  size(): number {
    return this.#size
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    this.reads++
    await this.before?.('read', offset, into.length)
    const from = this.#bytes.subarray(Math.min(offset, this.#size), Math.min(offset + into.length, this.#size))
    into.set(from)
    into.fill(0, from.length)
  }

  async write(offset: number, from: Uint8Array): Promise<void> {
    await this.before?.('write', offset, from.length)
    this.#grow(offset + from.length)
    this.#bytes.set(from, offset)
    if (this.recording) this.events.push({ child: this, op: 'write', offset, bytes: from.slice() })
  }

  async zero(offset: number, length: number): Promise<void> {
    await this.before?.('zero', offset, length)
    this.#grow(offset + length)
    this.#bytes.fill(0, offset, offset + length)
    if (this.recording) this.events.push({ child: this, op: 'zero', offset, length })
  }

  async discard(offset: number, length: number): Promise<void> {
    await this.before?.('discard', offset, length)
    // Nobody may rely on what is read afterwards: make that visible.
    this.#bytes.fill(0xdd, Math.min(offset, this.#size), Math.min(offset + length, this.#size))
    if (this.recording) this.events.push({ child: this, op: 'discard', offset, length })
  }

  async flush(_scope: FlushScope): Promise<void> {
    const covers = this.events.length
    await this.before?.('flush', 0, 0)
    if (this.recording) this.events.push({ child: this, op: 'flush', covers })
  }

  async extents(offset: number, bytes: number): Promise<Extent> {
    return { kind: 'data', bytes, host: { child: null, offset } }
  }

  async resize(size: number, _options?: ResizeOptions): Promise<void> {
    await this.before?.('resize', size, 0)
    if (size > this.#size) this.#grow(size)
    else {
      this.#bytes.fill(0, size, this.#size)
      this.#size = size
    }
    if (this.recording) this.events.push({ child: this, op: 'resize', size })
  }

  async allocatedSize(): Promise<number> {
    return this.#size
  }

  #grow(size: number): void {
    if (size > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(size, 2 * this.#bytes.length))
      larger.set(this.content)
      this.#bytes = larger
    }
    this.#size = Math.max(this.#size, size)
  }
}
