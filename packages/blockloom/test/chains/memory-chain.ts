import { BlockError, type AnyDriver, type Instance } from '@blockloom/block-driver'
import { qcow2 } from '@blockloom/format-qcow2'
import { raw } from '@blockloom/format-raw'
import { createMemoryDisk, memoryDriver, type MemoryDisk } from '@blockloom/protocol-memory'
import { createImage, openImage, type DiskImage, type OpenImageOptions } from 'blockloom'

/** Which request fails: a kind and a disk, and how many of them succeed before. */
export interface Fault {
  readonly disk: string
  readonly kind: 'read' | 'write'
  readonly after: number
  readonly errno?: 'EIO' | 'ENOSPC'
}

/** Images in memory by name (`memory:top`), whose requests can be made to fail, counted and interrupted. */
export class MemoryChain {
  readonly disks = new Map<string, MemoryDisk>()
  readonly drivers: readonly AnyDriver[]
  fault: Fault | null = null
  /** Called before each request. */
  watch: (disk: string, kind: Fault['kind'], bytes: number) => void = () => undefined
  #seen = 0
  /** What is left of each disk if power fails now: what it held at its last flush. */
  readonly #stable = new Map<string, Uint8Array>()
  /** Writes and flushes that are still done; then power fails. */
  #powerFor = Infinity

  readonly #defaults: Readonly<Record<string, unknown>>

  /** @param defaults - creation options of all qcow2 images */
  constructor(defaults: Readonly<Record<string, unknown>> = {}) {
    this.#defaults = defaults
    const inner = memoryDriver(this.disks)
    const open = inner.open as (context: { readonly options: { readonly name?: string } }) => Promise<Instance>
    const faulty = { ...inner, open: async (context: never) => this.#wrap((context as { options: { name?: string } }).options.name ?? '', await open(context)) }
    this.drivers = [qcow2, raw, faulty as unknown as AnyDriver]
  }

  #wrap(disk: string, instance: Instance): Instance {
    const { writer, zero, discard, resize } = instance
    const powered = async <T>(work: () => Promise<T>): Promise<T> => {
      this.#assertPower()
      return work()
    }
    const changed: Partial<Instance> = {
      read: async (offset, into, flags) => {
        this.#assertPower()
        this.#request(disk, 'read', into.length)
        await instance.read(offset, into, flags)
      },
      ...(zero && { zero: (...range) => powered(() => zero.apply(instance, range)) }),
      ...(discard && { discard: (...range) => powered(() => discard.apply(instance, range)) }),
      ...(resize && { resize: { ...resize, resize: (...size) => powered(() => resize.resize(...size)) } }),
      ...(writer && {
        writer: {
          ...writer,
          write: async (offset, from, flags) => {
            this.#use()
            this.#request(disk, 'write', from.length)
            await writer.write(offset, from, flags)
          },
          flush: async (scope) => {
            this.#use()
            await writer.flush(scope)
            if (scope === 'stable') this.#stable.set(disk, this.#bytes(disk))
          },
        },
      }),
    }
    return Object.assign(Object.create(instance) as Instance, changed)
  }

  #request(disk: string, kind: Fault['kind'], bytes: number): void {
    this.watch(disk, kind, bytes)
    const { fault } = this
    if (fault === null || fault.disk !== disk || fault.kind !== kind || this.#seen++ < fault.after) return
    throw new BlockError(fault.errno === 'ENOSPC' ? 'no-space' : 'io', 'injected', { errno: fault.errno ?? 'EIO' })
  }

  #bytes(name: string): Uint8Array {
    const disk = this.disks.get(name)!
    const bytes = new Uint8Array(disk.size)
    disk.read(0, bytes)
    return bytes
  }

  #use(): void {
    if (this.#powerFor > 0) this.#powerFor--
    this.#assertPower()
  }

  #assertPower(): void {
    if (this.#powerFor <= 0) throw new BlockError('io', 'no power')
  }

  /** What the disks hold now is stable; power fails after so many writes and flushes more. */
  powerFor(requests: number): void {
    for (const name of this.disks.keys()) this.#stable.set(name, this.#bytes(name))
    this.#powerFor = requests
  }

  /** Power is back: disks that `forgets` says have lost what was not flushed. Returns whether it had failed. */
  powerOn(forgets: (disk: string) => boolean): boolean {
    const failed = this.#powerFor <= 0
    this.#powerFor = Infinity
    if (failed) for (const [name, bytes] of this.#stable) if (forgets(name)) this.disks.set(name, createMemoryDisk(bytes.slice()))
    return failed
  }

  /** From now on requests fail as told; null: none do. */
  inject(fault: Fault | null): void {
    this.fault = fault
    this.#seen = 0
  }

  async create(name: string, size: number, options: Readonly<Record<string, unknown>> = {}, format = 'qcow2'): Promise<void> {
    await createImage(`memory:${name}`, { format, size, options: format === 'qcow2' ? { ...this.#defaults, ...options } : options, drivers: this.drivers })
  }

  open(name: string, options: Partial<OpenImageOptions> = {}): Promise<DiskImage> {
    return openImage(`memory:${name}`, { format: 'qcow2', implicit: 'allow', drivers: this.drivers, ...options })
  }

  /** Writes and closes; each is an offset, a byte and a length, byte 0 being a zeroing. */
  async write(name: string, ...writes: readonly (readonly [offset: number, byte: number, bytes: number])[]): Promise<void> {
    await using disk = await this.open(name, { write: true })
    for (const [offset, byte, bytes] of writes) {
      if (byte === 0) await disk.zero(offset, bytes)
      else await disk.write(offset, new Uint8Array(bytes).fill(byte))
    }
  }

  async content(name: string, format = 'qcow2'): Promise<Uint8Array> {
    await using disk = await this.open(name, { format })
    return disk.read(0, disk.size)
  }

  /** Throws unless an image is without corruptions; leaks are allowed. */
  async assertUncorrupted(name: string): Promise<void> {
    await using disk = await this.open(name, { noBacking: true })
    const problems: string[] = []
    const { corruptions, checkErrors } = await disk.check({ fix: 'none', report: (line) => problems.push(line) })
    if (corruptions + checkErrors > 0) throw new Error(`${name}: ${problems.join('\n')}`)
  }

  /** What the disks hold, to go back to. */
  snapshot(): () => void {
    const copies = [...this.disks.keys()].map((name) => [name, this.#bytes(name)] as const)
    return () => {
      for (const [name, bytes] of copies) this.disks.set(name, createMemoryDisk(bytes.slice()))
    }
  }
}
