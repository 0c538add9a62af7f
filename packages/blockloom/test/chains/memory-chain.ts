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
    const { writer } = instance
    const changed: Partial<Instance> = {
      read: async (offset, into, flags) => {
        this.#request(disk, 'read', into.length)
        await instance.read(offset, into, flags)
      },
      ...(writer && {
        writer: {
          ...writer,
          write: async (offset, from, flags) => {
            this.#request(disk, 'write', from.length)
            await writer.write(offset, from, flags)
          },
          flush: (scope) => writer.flush(scope),
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
    const copies = [...this.disks].map(([name, disk]) => {
      const bytes = new Uint8Array(disk.size)
      disk.read(0, bytes)
      return [name, bytes] as const
    })
    return () => {
      for (const [name, bytes] of copies) this.disks.set(name, createMemoryDisk(bytes.slice()))
    }
  }
}
