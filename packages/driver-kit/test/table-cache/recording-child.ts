import { limits, type ChildHandle, type FlushScope } from '@blockloom/block-driver'

export type Event = { readonly op: 'write'; readonly offset: number; readonly bytes: Uint8Array } | { readonly op: 'flush' }

/** A child in memory that logs what reaches it, and can be told to wait or fail. */
export class RecordingChild implements ChildHandle {
  readonly name = 'file'
  readonly nodeName = 'file'
  readonly limits = limits()
  readonly writable = true
  readonly zeroInit = true
  readonly content: Uint8Array
  readonly events: Event[]
  reads = 0
  before: (op: 'read' | 'write' | 'flush', offset: number) => void | Promise<void> = () => {}

  constructor(size: number, events: Event[] = []) {
    this.content = new Uint8Array(size)
    this.events = events
  }

  size(): number {
    return this.content.length
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    this.reads++
    await this.before('read', offset)
    into.set(this.content.subarray(offset, offset + into.length))
  }

  async write(offset: number, from: Uint8Array): Promise<void> {
    await this.before('write', offset)
    this.content.set(from, offset)
    this.events.push({ op: 'write', offset, bytes: from.slice() })
  }

  async flush(_scope: FlushScope): Promise<void> {
    await this.before('flush', 0)
    this.events.push({ op: 'flush' })
  }

  async zero(offset: number, bytes: number): Promise<void> {
    await this.write(offset, new Uint8Array(bytes))
  }

  async discard(): Promise<void> {}
  async extents(offset: number, bytes: number) {
    return { kind: 'data', bytes, host: { child: null, offset } } as const
  }
  async resize(): Promise<void> {}
  async allocatedSize(): Promise<number> {
    return this.content.length
  }
}
