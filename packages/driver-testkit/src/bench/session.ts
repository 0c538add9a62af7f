import { BlockError, ChildRole, parseOptions, type ChildHandle, type ChildRequest, type ChildSlot, type Instance, type OpenContext, type OpenMode } from '@blockloom/block-driver'
import type { DiskFile } from '../child/disk-file.ts'
import { Faults } from '../child/faults.ts'
import { RecordingChild, type Recorded } from '../child/recording-child.ts'
import { check } from '../failure.ts'
import type { ChildTraits, TestedDriver } from '../fixture.ts'
import type { Random } from '../model/random.ts'
import type { Watchdog } from '../watchdog.ts'
import { Audit } from './audit.ts'
import { forwarding } from './forwarding.ts'
import { hops } from './hops.ts'
import { OpenedImage } from './opened-image.ts'
import { VirtualClock } from './virtual-clock.ts'

/** What one opening of a driver needs. @internal */
export interface SessionInit {
  readonly driver: TestedDriver
  readonly options: Readonly<Record<string, unknown>>
  readonly mode: OpenMode
  /** By the name of the child, or by the filename that an image calls it. */
  readonly files: ReadonlyMap<string, DiskFile>
  readonly backing: DiskFile | null
  readonly traits: ChildTraits
  readonly random: Random
  readonly secrets: Readonly<Record<string, string>>
  readonly watch: Watchdog
}

/**
 * The stub of a graph: opens one driver on in-memory children and watches what it does to them.
 *
 * @internal
 */
export class Session {
  readonly faults = new Faults()
  readonly audit = new Audit()
  readonly clock = new VirtualClock()
  readonly recorded: Recorded[] = []
  readonly random: Random
  readonly warnings: string[] = []
  readonly slots = new Map<string, { current: ChildHandle | null }>()
  slowReads = false
  /** See {@link ChildWorld.changed}. */
  changed: () => void = () => {}
  readonly #children: RecordingChild[] = []
  readonly #init: SessionInit

  constructor(init: SessionInit) {
    this.#init = init
    this.random = init.random
  }

  /** Children that the driver asked for so far. */
  get children(): readonly RecordingChild[] {
    return this.#children
  }

  /** The options as the driver gets them. */
  get options(): Readonly<Record<string, unknown>> {
    return parseOptions(this.#init.driver.options, this.#init.options)
  }

  /** Changes whenever a byte of a file below does. */
  hash(): string {
    return [...this.#init.files].map(([name, file]) => `${name}:${file.visible.hash()}`).join(' ')
  }

  /** @throws what the driver's `open` throws, after checking that it left nothing behind */
  async open(signal?: AbortSignal): Promise<OpenedImage> {
    const { driver, watch } = this.#init
    let instance: Instance
    try {
      const opened = await watch(driver.open(this.#context(signal) as OpenContext<never>), 'open()')
      instance = driver.kind === 'filter' ? forwarding(opened, this.#filtered()) : (opened as Instance)
    } catch (error) {
      await this.shut('a failed open')
      throw error
    }
    this.audit.verify()
    return new OpenedImage(instance, {
      watch,
      verify: () => this.audit.verify(),
      closed: () => this.shut('close'),
      session: this,
    })
  }

  /** Nothing may be pending now; from here on any request is a breach. */
  async shut(after: string): Promise<void> {
    for (const child of this.#children) {
      if (child.inFlight > 0) this.audit.breach(`${after} left ${child.inFlight} requests in flight on child '${child.name}'`)
      child.detach()
    }
    await hops(40)
    if (this.clock.pending > 0) this.audit.breach(`${after} left ${this.clock.pending} sleeps on the clock`)
    this.clock.stop()
    this.audit.verify()
  }

  /** Makes a handle on a file, as `child` of a context would. */
  attach(name: string, file: DiskFile, writable: boolean): RecordingChild {
    const child = new RecordingChild(this, {
      name, file, writable, requestAlignment: this.#init.traits.requestAlignment ?? 1, zeroInit: this.#init.traits.zeroInit ?? true,
    })
    this.#children.push(child)
    return child
  }

  #context(signal: AbortSignal | undefined): OpenContext {
    const { mode } = this.#init
    return Object.freeze({
      options: this.options,
      mode: Object.freeze({ ...mode }),
      nodeName: 'node-under-test',
      clock: this.clock,
      signal,
      child: async (name: string, request: ChildRequest) => {
        const child = await this.#child(name, request)
        if (child) return child
        throw new BlockError('invalid', `A block device must be specified for "${name}"`, { detail: { child: name } })
      },
      optionalChild: async (name: string, request: ChildRequest): Promise<ChildSlot> => {
        const slot = { current: await this.#child(name, request) as ChildHandle | null }
        this.slots.set(name, slot)
        return slot
      },
      secret: async (id: string) => this.secret(id),
      warn: (message: string) => void this.warnings.push(message),
    })
  }

  /** The bytes of one of the fixture's secrets. */
  secret(id: string): Uint8Array {
    const secret = this.#init.secrets[id]
    if (secret === undefined) throw new BlockError('not-found', `No secret with id '${id}'`, { errno: 'EINVAL', detail: { secret: id } })
    return new TextEncoder().encode(secret)
  }

  async #child(name: string, request: ChildRequest): Promise<RecordingChild | null> {
    const { driver, mode, files, backing } = this.#init
    const declared = Object.hasOwn(driver.children, name) || Object.hasOwn(driver.children, name.split('.')[0]!)
    if (!declared) this.audit.breach(`asked for the child '${name}', which its table does not declare`)
    const isCow = (request.role & ChildRole.COW) !== 0
    if (isCow && mode.noBacking) return null
    const fault = this.faults.strike('open', name)
    await hops(this.random.int(4))
    if (fault) throw fault.error
    const file = isCow ? backing : (files.get(name) ?? files.get(request.fromImage?.filename ?? ''))
    // Asking whether the consumer gave one is harmless; opening what the image names is CVE-2024-4467.
    const isData = request.role === ChildRole.DATA && (file !== undefined || request.fromImage !== undefined)
    if (mode.noIo && isData) this.audit.breach(`opened the data file '${name}' although only metadata is wanted`)
    return file ? this.attach(name, file, !mode.readOnly && !isCow) : null
  }

  #filtered(): RecordingChild {
    const file = this.#children.find((child) => child.name === 'file')
    check(file !== undefined, "a filter did not ask for its child 'file'")
    return file
  }
}
