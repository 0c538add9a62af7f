import type { LuksIo } from '../../src/index.ts'

/** A LUKS volume in memory that remembers what was done to it. */
export class MemoryIo implements LuksIo {
  readonly disk: Uint8Array
  readonly log: string[] = []

  constructor(disk: Uint8Array | number) {
    this.disk = typeof disk === 'number' ? new Uint8Array(disk) : disk
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    if (offset + into.length > this.disk.length) throw new RangeError('read behind the end')
    into.set(this.disk.subarray(offset, offset + into.length))
  }

  async write(offset: number, from: Uint8Array): Promise<void> {
    this.log.push(`write ${offset} ${from.length}`)
    this.disk.set(from, offset)
  }

  async flush(): Promise<void> {
    this.log.push('flush')
  }
}

export const text = (value: string): Uint8Array => new TextEncoder().encode(value)
export const now = (): number => performance.now()
