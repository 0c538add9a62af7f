import { BlockError, Permission, RequestFlag, type AnyDriver, type BackingFacet, type BitmapFacet, type CheckFacet, type Extent, type FilterInstance, type FlushScope, type Limits, type ResizeOptions, type SnapshotFacet, type AmendFacet, type MediumFacet, type Instance } from '@blockloom/block-driver'
import { DirtyBitmaps } from '../dirty-bitmaps/dirty-bitmaps.ts'
import { syncedFacet } from '../dirty-bitmaps/synced-facet.ts'
import { Requests, type BeforeWrite, type RequestSettings } from '../request/requests.ts'
import { blockStatus, type BlockStatus } from '../status/block-status.ts'
import { Drain } from './drain.ts'
import { nodeFilename } from './filename.ts'
import { guardFacets, type GuardedFacets } from './guarded-facets.ts'
import type { Link } from './link.ts'
import type { ParentState } from './permissions.ts'
import type { Plan } from './plan.ts'

/** What a node was opened with; reopen starts from it. @public */
export interface NodeSettings extends RequestSettings {
  readonly readOnly: boolean
  readonly forceShare: boolean
  readonly noIo: boolean
  /** Found by probing, not named by the consumer. */
  readonly probed: boolean
  /** The driver's options, validated. */
  readonly options: Readonly<Record<string, unknown>>
}

/** The graph's side of a node. @internal */
export interface NodeOwner {
  /** Drops the user's reference. */
  release(node: BlockNode): Promise<void>
  /** Runs `work` while the user's edge may also resize. */
  withResize(node: BlockNode, work: () => Promise<void>): Promise<void>
}

/**
 * One node of the graph: an opened image, protocol or filter. Offsets and lengths are bytes; any alignment works.
 * Overlapping writes in flight end in no defined order.
 *
 * @public
 */
export class BlockNode {
  readonly name: string
  readonly driver: AnyDriver
  readonly settings: NodeSettings
  /** Which bytes changed since when; kept in the image, if it can store them. */
  readonly dirtyBitmaps: DirtyBitmaps
  /** @internal */
  readonly requests: Requests
  /** @internal */
  readonly instance: FilterInstance
  /** @internal */
  readonly childLinks: readonly ChildEntry[]
  /** Edges that point here, users' included. @internal */
  readonly parentLinks = new Set<Link>()
  /** @internal */
  readonly drains = new Drain()
  readonly #owner: NodeOwner
  readonly #facets: GuardedFacets
  readonly #bitmaps: BitmapFacet | undefined
  #closed = false

  /** @internal */
  constructor(init: { name: string; driver: AnyDriver; settings: NodeSettings; instance: FilterInstance; plan: Plan; size: number; children: readonly ChildEntry[]; owner: NodeOwner }) {
    this.name = init.name
    this.driver = init.driver
    this.settings = init.settings
    this.instance = init.instance
    this.childLinks = init.children
    this.#owner = init.owner
    this.requests = new Requests(init.plan, init.size, init.settings)
    this.#facets = guardFacets(init.instance, (work) => this.#change(work), () => this.dirtyBitmaps.assertNone())
    this.dirtyBitmaps = new DirtyBitmaps(this, this.#facets.bitmaps)
    this.#bitmaps = this.#facets.bitmaps && syncedFacet(this.#facets.bitmaps, this.dirtyBitmaps)
  }

  /** Bytes. */
  get size(): number {
    return this.requests.size
  }

  get readOnly(): boolean {
    return this.settings.readOnly || this.requests.plan.write === null
  }

  get limits(): Limits {
    return this.requests.plan.limits
  }

  /** A new image of this kind in this place reads as zeroes. */
  get zeroInit(): boolean {
    return this.requests.plan.zeroInit
  }

  /** A name that opens the same thing again: a plain filename, or `json:{...}`. */
  get filename(): string {
    return nodeFilename(this)
  }

  /** @internal */
  get plan(): Plan {
    return this.requests.plan
  }

  /** @internal */
  get permissionState(): ParentState {
    return { writable: !this.readOnly, forceShare: this.settings.forceShare, noIo: this.settings.noIo }
  }

  /** The node in a child slot, or null. */
  child(slot: string): BlockNode | null {
    return this.childLinks.find((entry) => entry.name === slot)?.link?.target ?? null
  }

  /** Slots and what is in them. */
  get children(): readonly { readonly name: string; readonly node: BlockNode }[] {
    return this.childLinks.flatMap(({ name, link }) => (link === null ? [] : [{ name, node: link.target }]))
  }

  /** What a filter filters; null for everything else. */
  get filtered(): BlockNode | null {
    return this.driver.kind === 'filter' ? this.child('file') : null
  }

  /** The backing node, or null. */
  get backing(): BlockNode | null {
    return this.child('backing')
  }

  get check(): CheckFacet | undefined {
    return this.#facets.check
  }

  get snapshots(): SnapshotFacet | undefined {
    return this.#facets.snapshots
  }

  /** The bitmaps as the image stores them. {@link BlockNode.dirtyBitmaps} are those that record, and takes care of storing. */
  get bitmaps(): BitmapFacet | undefined {
    return this.#bitmaps
  }

  get backingReference(): BackingFacet | undefined {
    return this.#facets.backing
  }

  get amend(): AmendFacet | undefined {
    return this.#facets.amend
  }

  /**
   * Drops this layer's guest data, so that everything is read from the backing node; undefined if the format cannot.
   *
   * It is what follows a commit, after which nothing changes for a reader: dirty bitmaps do not record it.
   */
  get makeEmpty(): (() => Promise<void>) | undefined {
    return this.#facets.makeEmpty
  }

  get medium(): MediumFacet | undefined {
    return this.instance.medium
  }

  /** Bytes per compressed write, or undefined if the driver does not compress. */
  get compressGranularity(): number | undefined {
    return this.requests.plan.compress?.granularity
  }

  /**
   * Fills `into` with the bytes at `offset`.
   *
   * @throws BlockError `range` if the request is not inside the image
   */
  read(offset: number, into: Uint8Array): Promise<void> {
    try {
      this.#checkRange(offset, into.length)
    } catch (error) {
      return Promise.reject(error)
    }
    // The request's own promise: another one around it would cost as much as all the rest here.
    if (!this.drains.active) return this.requests.read(offset, into, 0)
    return this.drains.resumed().then(() => this.requests.read(offset, into, 0))
  }

  /**
   * Stores `from` at `offset`. The buffer must not change until the promise settles. After a failure the range holds
   * old or new bytes, everything else is as before.
   *
   * @param flags - mask of `RequestFlag`
   */
  write(offset: number, from: Uint8Array, flags = 0): Promise<void> {
    try {
      this.#checkWrite(offset, from.length)
    } catch (error) {
      return Promise.reject(error)
    }
    if (!this.drains.active) return this.requests.write(offset, from, flags)
    return this.drains.resumed().then(() => this.requests.write(offset, from, flags))
  }

  /** Makes a range read as zeroes, by metadata where the format can; with `MAY_UNMAP` the space may be freed. */
  async zero(offset: number, bytes: number, flags: number = RequestFlag.MAY_UNMAP): Promise<void> {
    this.#checkWrite(offset, bytes)
    if (this.drains.active) await this.drains.resumed()
    return this.requests.zero(offset, bytes, flags)
  }

  /** Advice that a range is not needed any more. */
  async discard(offset: number, bytes: number): Promise<void> {
    this.#checkWrite(offset, bytes)
    if (this.drains.active) await this.drains.resumed()
    return this.requests.discard(offset, bytes)
  }

  /** Stores one compressed cluster: `compressGranularity` bytes at a multiple of that, or the rest of the image. */
  async writeCompressed(offset: number, from: Uint8Array): Promise<void> {
    this.#checkWrite(offset, from.length)
    if (this.drains.active) await this.drains.resumed()
    return this.requests.writeCompressed(offset, from)
  }

  /** `stable` (default): everything acknowledged before survives power loss. `host`: out of our caches. */
  async flush(scope: FlushScope = 'stable'): Promise<void> {
    this.#checkOpen()
    return this.requests.flush(scope)
  }

  /** What this layer alone knows. */
  async extents(offset: number, bytes: number): Promise<Extent> {
    this.#checkRange(offset, bytes)
    return this.requests.extents(offset, bytes)
  }

  /**
   * What the whole backing chain says about a range; no promise if it is known already.
   *
   * @param base - leave out this node and what is below it
   */
  status(offset: number, bytes: number, base: BlockNode | null = null): BlockStatus | Promise<BlockStatus> {
    try {
      this.#checkRange(offset, bytes)
      if (bytes === 0) throw new BlockError('range', 'The status of an empty range is not defined')
      return blockStatus(this, offset, bytes, base)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Changes the size in bytes. */
  async resize(size: number, options: ResizeOptions = {}): Promise<void> {
    this.#checkWrite(0, 0)
    await this.#owner.withResize(this, () => this.drained(() => this.requests.resize(size, options)))
  }

  /** Bytes used on the host by this node and the children that store its data and metadata; undefined if unknown. */
  async allocatedSize(): Promise<number | undefined> {
    if (this.instance.allocatedSize !== undefined) return this.instance.allocatedSize()
    let sum = 0
    let known = false
    for (const { name, link } of this.childLinks) {
      if (name === 'backing' || link === null) continue
      const bytes = await link.target.allocatedSize()
      if (bytes === undefined) continue
      sum += bytes
      known = true
    }
    return known ? sum : undefined
  }

  /** Driver-specific facts. */
  async info(): Promise<Readonly<Record<string, unknown>>> {
    return (await (this.instance as Partial<Instance>).info?.()) ?? {}
  }

  /** Runs with no request in flight here or in any node above; requests that arrive meanwhile wait. */
  async drained<T>(work: () => Promise<T>): Promise<T> {
    const nodes = withAncestors(this)
    for (const node of nodes) node.drains.begin()
    try {
      // Top down: what a parent still has in flight ends up here.
      for (const node of nodes) await node.requests.inFlight.idle()
      return await work()
    } finally {
      for (const node of nodes) node.drains.end()
    }
  }

  /** Called before each write; may delay it, or fail it by throwing. Returns its removal. */
  beforeWrite(notifier: BeforeWrite): () => void {
    return this.requests.beforeWrite(notifier)
  }

  get closed(): boolean {
    return this.#closed
  }

  /** @internal */
  markClosed(): void {
    this.#closed = true
  }

  /** Drops the reference that opening gave; the node closes with its last one. */
  async close(): Promise<void> {
    await this.#owner.release(this)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #change<T>(work: () => Promise<T>): Promise<T> {
    this.#checkOpen()
    return this.drained(async () => {
      try {
        return await work()
      } finally {
        this.requests.changed()
        this.requests.size = await this.plan.size()
        this.dirtyBitmaps.follow()
      }
    })
  }

  /** Only a handful of edges point at a node, and the first is mostly the user's. */
  #userMayWrite(): boolean {
    for (const link of this.parentLinks) if (link.isUser && (link.used & Permission.WRITE) !== 0) return true
    return false
  }

  #checkOpen(): void {
    if (this.#closed) throw new BlockError('closed', `Block node '${this.name}' is closed`, { detail: { node: this.name } })
  }

  #checkRange(offset: number, bytes: number): void {
    this.#checkOpen()
    if (Number.isSafeInteger(offset) && Number.isSafeInteger(bytes) && offset >= 0 && bytes >= 0 && offset + bytes <= this.size) return
    throw new BlockError('range', `Request of ${bytes} bytes at offset ${offset} is outside '${this.name}', which has ${this.size} bytes`, {
      errno: 'EIO',
      detail: { node: this.name, offset, bytes },
    })
  }

  #checkWrite(offset: number, bytes: number): void {
    this.#checkRange(offset, bytes)
    if (!this.readOnly && this.#userMayWrite()) return
    throw new BlockError('read-only', `Block node '${this.name}' is read-only`, { errno: 'EPERM', detail: { node: this.name } })
  }
}

/** A slot below a node; `link` is null while it is empty. @internal */
export interface ChildEntry {
  readonly name: string
  link: Link | null
}

/** The node and everything above it, parents before children. */
function withAncestors(node: BlockNode): BlockNode[] {
  const order: BlockNode[] = []
  const seen = new Set<BlockNode>()
  const visit = (at: BlockNode): void => {
    if (seen.has(at)) return
    seen.add(at)
    for (const { parent } of at.parentLinks) if (parent !== null) visit(parent)
    order.push(at)
  }
  visit(node)
  return order
}
