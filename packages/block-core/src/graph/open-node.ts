import { BlockError, ChildRole, isBlockError, Permission, type AnyDriver, type ChildHandle, type ChildRequest, type ChildSlot, type Clock, type Instance, type OpenContext, type OpenMode, type SecretLookup } from '@blockloom/block-driver'
import { BlockNode, type ChildEntry, type NodeOwner, type NodeSettings } from '../node/block-node.ts'
import { Link } from '../node/link.ts'
import { filterPlanOf, planOf } from '../node/plan.ts'
import { refreshPermissions } from '../node/refresh-permissions.ts'
import { closeUnused, type NodeRegistry } from './close-node.ts'
import { filenameSpec } from './filename-spec.ts'
import { protocolSpec, resolveRelative } from './filename.ts'
import { gateAllows, type Gate } from './gate.ts'
import { ParentStandIn } from './parent-stand-in.ts'
import type { NodeNames } from './node-names.ts'
import { isFallback } from './probe.ts'
import { guardProbed } from './probed-guard.ts'
import { splitSpec, type RawSpec, type SplitSpec } from './raw-spec.ts'

/** How a user opens a node. @public */
export interface OpenOptions {
  /** Nobody writes through this handle, and files are opened read-only. Default: as the spec says, else writable. */
  readonly readOnly?: boolean
  /**
   * The node is going to be a child of others: this handle takes no permissions, and writes through it are refused.
   * A format wants its file for itself, so a file node that is opened first has to be opened like this.
   */
  readonly passive?: boolean
  /** Only metadata is wanted: data files stay closed. */
  readonly noIo?: boolean
  /** Leave backing files closed. */
  readonly noBacking?: boolean
  /** For `check`: open in spite of repairable damage. */
  readonly forCheck?: boolean
  /** Tolerate writers in other processes (read-only handles only). */
  readonly forceShare?: boolean
  /** Discards and zeroing may free space. Default false. */
  readonly unmap?: boolean
  /** Host cache of every protocol below that has the option `cache` and is not told otherwise. */
  readonly cache?: { readonly direct?: boolean; readonly 'no-flush'?: boolean }
  readonly signal?: AbortSignal
}

/** What opening needs of the graph. @internal */
export interface OpenEnvironment {
  readonly drivers: readonly AnyDriver[]
  readonly clock: Clock
  readonly gate: Gate
  readonly probeImplicit: boolean
  readonly secret: SecretLookup
  readonly names: NodeNames
  readonly nodes: Map<string, BlockNode>
  readonly owner: NodeOwner
  readonly registry: NodeRegistry
  opened(node: BlockNode): void
  warn(node: string, message: string): void
}

/** What a child inherits. @internal */
export interface Inherited {
  readonly readOnly: boolean
  readonly forceShare: boolean
  readonly unmap: boolean
  readonly probed: boolean
  /** Images above, outermost first, for loops. */
  readonly above: readonly string[]
}

/** Longest chain of images below one another; a loop through different names of one file ends here. */
const MAX_DEPTH = 1000

/** Opens nodes and what is below them, for one user request. @internal */
export class NodeOpener {
  readonly environment: OpenEnvironment
  readonly options: OpenOptions

  constructor(environment: OpenEnvironment, options: OpenOptions) {
    this.environment = environment
    this.options = options
    if (options.forceShare && options.readOnly === false) {
      throw new BlockError('invalid', 'force-share=on can only be used with read-only images', { detail: { option: 'force-share' } })
    }
  }

  get root(): Inherited {
    const { readOnly, forceShare, unmap } = this.options
    return { readOnly: readOnly ?? forceShare ?? false, forceShare: forceShare ?? false, unmap: unmap ?? false, probed: false, above: [] }
  }

  /** Opens a spec. After a failure nothing that it opened is left open. */
  async open(spec: RawSpec, inherited: Inherited = this.root, prefix = ''): Promise<BlockNode> {
    this.options.signal?.throwIfAborted()
    const { names, nodes } = this.environment
    const split = splitSpec(this.#withCache(withDriver(spec, this.environment.drivers, prefix)), this.environment.drivers, prefix)
    const given = split.node['node-name']
    if (given !== undefined) names.check(given, (name) => nodes.has(name))
    const name = given ?? names.generate()
    const children = Object.keys(split.driver.children).map((slot): ChildEntry => ({ name: slot, link: null }))
    try {
      return await this.#openDriver(name, split, children, inherited)
    } catch (error) {
      const opened = children.flatMap(({ link }) => (link === null ? [] : [link]))
      for (const link of opened) link.target.parentLinks.delete(link)
      await closeUnused(opened.map((link) => link.target), this.environment.registry).catch(() => {})
      throw error
    }
  }

  #withCache(spec: RawSpec): RawSpec {
    const driver = this.environment.drivers.find((d) => d.name === spec['driver'])
    const told = Object.keys(spec).some((name) => name === 'cache' || name.startsWith('cache.'))
    if (this.options.cache === undefined || told || driver?.kind !== 'protocol' || !Object.hasOwn(driver.options, 'cache')) return spec
    return { ...spec, cache: this.options.cache }
  }

  async #openDriver(name: string, split: SplitSpec, children: ChildEntry[], inherited: Inherited): Promise<BlockNode> {
    const { environment } = this
    const forceShare = split.node['force-share'] || inherited.forceShare
    const readOnly = split.node['read-only'] ?? inherited.readOnly
    if (forceShare && !readOnly) throw new BlockError('invalid', 'force-share=on can only be used with read-only images', { detail: { option: 'force-share' } })
    const settings: NodeSettings = {
      nodeName: name,
      readOnly,
      forceShare,
      noIo: this.options.noIo ?? false,
      probed: inherited.probed,
      detectZeroes: split.node['detect-zeroes'],
      unmap: split.node.discard === undefined ? inherited.unmap : split.node.discard === 'unmap',
      options: split.options,
    }
    if (settings.detectZeroes === 'unmap' && !settings.unmap) {
      throw new BlockError('invalid', 'setting detect-zeroes to unmap is not allowed without setting discard operation to unmap', { detail: { option: 'detect-zeroes' } })
    }
    const standIn = new ParentStandIn(name, settings)
    const childOf = (slot: string, request: ChildRequest) => this.#child(standIn, split, children, slot, request, settings, inherited)
    const mode: OpenMode = { readOnly, noIo: settings.noIo, noBacking: this.options.noBacking ?? false, forCheck: this.options.forCheck ?? false }
    const context: OpenContext<unknown> = {
      options: split.options,
      mode,
      nodeName: name,
      clock: environment.clock,
      signal: this.options.signal,
      child: async (slot, request) => {
        const link = await childOf(slot, request)
        if (link !== null) return link
        throw new BlockError('invalid', `A block device must be specified for "${slot}"`, { detail: { option: slot } })
      },
      optionalChild: async (slot, request): Promise<ChildSlot> => {
        if (!(slot === 'backing' && mode.noBacking)) await childOf(slot, request)
        const entry = children.find((e) => e.name === slot)!
        return { get current(): ChildHandle | null { return entry.link } }
      },
      secret: environment.secret,
      warn: (message) => environment.warn(name, message),
    }
    const instance = await (split.driver.open as (c: OpenContext<unknown>) => ReturnType<AnyDriver['open']>)(context)
    try {
      const filtered = children.find((entry) => entry.name === 'file')?.link ?? null
      const plan = split.driver.kind === 'filter' && filtered !== null ? filterPlanOf(instance, filtered) : planOf(instance as Instance)
      const size = await plan.size()
      const node = new BlockNode({ name, driver: split.driver, settings, instance, plan, size, children, owner: environment.owner })
      // Who writes has to know what was dirty before.
      if (!node.readOnly && !mode.forCheck) await node.dirtyBitmaps.loadAll()
      standIn.become(node)
      environment.nodes.set(name, node)
      if (settings.probed && isFallback(split.driver)) guardProbed(node, environment.drivers, node.child('file')?.filename ?? '')
      environment.opened(node)
      return node
    } catch (error) {
      await instance.close().catch(() => {})
      throw error
    }
  }

  /** Opens and attaches what the consumer named for a slot, else what the image names. */
  async #child(standIn: ParentStandIn, split: SplitSpec, children: ChildEntry[], slot: string, request: ChildRequest, settings: NodeSettings, inherited: Inherited): Promise<Link | null> {
    const entry = children.find((e) => e.name === slot)
    if (entry === undefined) throw new BlockError('invalid', `Driver '${split.driver.name}' declares no child '${slot}'`)
    if (entry.link !== null) return entry.link
    const isBacking = (request.role & ChildRole.COW) !== 0
    const below: Inherited = {
      readOnly: isBacking || settings.readOnly,
      forceShare: settings.forceShare,
      // Formats send only the discards that their own setting lets through.
      unmap: isBacking ? false : split.driver.kind === 'filter' ? settings.unmap : true,
      probed: false,
      above: inherited.above,
    }
    const given = split.children.get(slot)
    if (given === null) return null
    const node =
      typeof given === 'string'
        ? this.#existing(given)
        : given !== undefined
          ? await this.open(given, below, `${slot}.`)
          : await this.#implicit(split, children, slot, request, below)
    if (node === null) return null
    const link = new Link(slot, standIn, request.role, node, { used: 0, shared: Permission.ALL })
    node.parentLinks.add(link)
    entry.link = link
    link.setGrant(link.wanted({ used: 0, shared: Permission.ALL }))
    await refreshPermissions([node])
    return link
  }

  /** Closes a node that nobody refers to. */
  async discard(node: BlockNode): Promise<void> {
    await closeUnused([node], this.environment.registry).catch(() => {})
  }

  #existing(name: string): BlockNode {
    const node = this.environment.nodes.get(name)
    if (node === undefined) throw new BlockError('not-found', `Cannot find device='' nor node-name='${name}'`, { errno: 'EINVAL', detail: { node: name } })
    return node
  }

  /** What the image itself names, if the gate lets it through. */
  async #implicit(split: SplitSpec, children: ChildEntry[], slot: string, request: ChildRequest, below: Inherited): Promise<BlockNode | null> {
    if (request.fromImage === undefined) return null
    const { filename, format } = request.fromImage
    const image = children.find((e) => e.name === 'file')?.link?.target.filename ?? ''
    const resolved = resolveRelative(image, filename)
    const asked = { slot, driver: split.driver.name, image, filename, resolved, format }
    if (!(await gateAllows(this.environment.gate, asked))) {
      throw new BlockError('denied', `The image '${image}' names the ${slot} file '${filename}'; opening files that an image names is not allowed here`, {
        detail: { slot, image, filename },
      })
    }
    const above = [...below.above, image]
    if (above.length > MAX_DEPTH) throw new BlockError('invalid', `More than ${MAX_DEPTH} images below one another`, { detail: { filename } })
    const isCow = (request.role & ChildRole.COW) !== 0
    if (isCow && above.includes(resolved)) {
      throw new BlockError('invalid', `Backing file '${resolved}' creates an infinite loop.`, { detail: { filename: resolved } })
    }
    const how = !isCow ? { protocolOnly: true } : format !== undefined ? { format } : { probe: this.environment.probeImplicit }
    try {
      return await filenameSpec(resolved, how, this, { ...below, above })
    } catch (error) {
      if (!isCow || !isBlockError(error)) throw error
      throw new BlockError(error.code, `Could not open backing file: ${error.message}`, { errno: error.errno, cause: error, detail: error.detail })
    }
  }
}

/** A child that has a filename and no driver is a file, or what the filename's prefix says. */
function withDriver(spec: RawSpec, drivers: readonly AnyDriver[], prefix: string): RawSpec {
  const { filename, driver, ...rest } = spec
  return prefix !== '' && driver === undefined && typeof filename === 'string' ? { ...protocolSpec(filename, drivers), ...rest } : spec
}
