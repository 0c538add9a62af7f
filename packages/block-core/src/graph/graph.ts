import { BlockError, Permission, type AnyDriver, type Clock, type NodeSpec, type SecretLookup } from '@blockloom/block-driver'
import { createRealContext } from '@blockloom/coroutine-scheduler'
import { Events } from '../events.ts'
import type { BlockNode } from '../node/block-node.ts'
import { Link } from '../node/link.ts'
import { refreshPermissions, USER_ROLE, userGrant } from '../node/refresh-permissions.ts'
import { closeUnused } from './close-node.ts'
import { createImage, type CreateRequest } from './create-image.ts'
import { filenameSpec, type FilenameOptions } from './filename-spec.ts'
import type { Gate } from './gate.ts'
import { NodeNames } from './node-names.ts'
import { NodeOpener, type OpenOptions } from './open-node.ts'
import type { RawSpec } from './raw-spec.ts'

/** @public */
export interface GraphOptions<D extends readonly AnyDriver[]> {
  readonly drivers: D
  /** Files named inside images. Default `deny`. */
  readonly gate?: Gate
  /** May the format of an implicit child be guessed when its image does not say? Default false. */
  readonly probeImplicit?: boolean
  /** The bytes of a secret that an option names by its id. Default: there are none. */
  readonly secrets?: (id: string) => Uint8Array | Promise<Uint8Array>
  /** Clock that the nodes live in. Default: the real one. */
  readonly clock?: Clock
}

/** @public */
export interface GraphEvents {
  readonly opened: { readonly node: BlockNode }
  readonly closed: { readonly name: string }
  readonly warning: { readonly node: string; readonly message: string }
}

/**
 * A graph of named nodes, made of the drivers that the consumer passed.
 *
 * @public
 */
export class Graph<D extends readonly AnyDriver[] = readonly AnyDriver[]> {
  readonly drivers: D
  readonly clock: Clock
  readonly events = new Events<GraphEvents>()
  readonly #nodes = new Map<string, BlockNode>()
  readonly #names = new NodeNames()
  readonly #gate: Gate
  readonly #probeImplicit: boolean
  readonly #secret: SecretLookup
  /** Opening, closing and permission changes happen one at a time; requests do not take it. */
  #lock: Promise<unknown> = Promise.resolve()

  /** @internal */
  constructor(options: GraphOptions<D>) {
    this.drivers = options.drivers
    this.#gate = options.gate ?? 'deny'
    this.#probeImplicit = options.probeImplicit ?? false
    const { secrets = noSecret } = options
    this.#secret = async (id) => secrets(id)
    this.clock = options.clock ?? createRealContext()
    const seen = new Set<string>()
    for (const driver of options.drivers) {
      if (seen.has(driver.name)) throw new BlockError('invalid', `Two drivers are called '${driver.name}'`)
      seen.add(driver.name)
    }
  }

  /** Opens a node from its typed spec. The node closes with its last user and parent. */
  async open(spec: NodeSpec<D>, options: OpenOptions = {}): Promise<BlockNode> {
    return this.openSpec(spec as RawSpec, options)
  }

  /** Opens a node from options of unknown origin: JSON, a command line. They are validated like typed ones. */
  async openSpec(spec: RawSpec, options: OpenOptions = {}): Promise<BlockNode> {
    return this.#exclusive(async () => this.#attachUser(await this.#opener(options).open(spec), options))
  }

  /** Opens a filename: `disk.qcow2`, `nbd://host`, `json:{...}`. The format is named, or guessed if `probe` says so. */
  async openFilename(filename: string, how: FilenameOptions, options: OpenOptions = {}): Promise<BlockNode> {
    return this.#exclusive(async () => {
      const opener = this.#opener(options)
      return this.#attachUser(await filenameSpec(filename, how, opener), options)
    })
  }

  /** Creates an image: a protocol's file, or a format inside one. */
  async create(request: CreateRequest): Promise<void> {
    return this.#exclusive(() => createImage(request, this.#opener({})))
  }

  /** @throws BlockError `not-found` */
  node(name: string): BlockNode {
    const node = this.#nodes.get(name)
    if (node === undefined) throw new BlockError('not-found', `Cannot find device='' nor node-name='${name}'`, { detail: { node: name } })
    return node
  }

  get nodes(): readonly BlockNode[] {
    return [...this.#nodes.values()]
  }

  /** Closes everything that users still hold. All nodes are tried; the first error is thrown. */
  async close(): Promise<void> {
    const errors: unknown[] = []
    for (const node of this.nodes) {
      while (!node.closed && [...node.parentLinks].some((link) => link.isUser)) {
        await node.close().catch((error: unknown) => errors.push(error))
      }
    }
    if (errors.length > 0) throw errors[0]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** @internal */
  async release(node: BlockNode): Promise<void> {
    if (node.closed) return
    await this.#exclusive(async () => {
      const link = [...node.parentLinks].find((l) => l.isUser)
      if (link === undefined) return
      node.parentLinks.delete(link)
      await closeUnused([node], this.#registry)
    })
  }

  /** @internal */
  async withResize(node: BlockNode, work: () => Promise<void>): Promise<void> {
    const link = [...node.parentLinks].find((l) => l.isUser && (l.used & Permission.WRITE) !== 0)
    if (link === undefined) throw new BlockError('closed', `Block node '${node.name}' has no writing user`, { detail: { node: node.name } })
    const setResize = async (on: boolean): Promise<void> => {
      const before = { used: link.used, shared: link.shared }
      link.setGrant({ ...before, used: on ? before.used | Permission.RESIZE : before.used & ~Permission.RESIZE })
      await refreshPermissions([node]).catch((error: unknown) => {
        link.setGrant(before)
        throw error
      })
    }
    await this.#exclusive(async () => {
      await setResize(true)
      try {
        await work()
      } finally {
        await setResize(false)
      }
    })
  }

  readonly #registry = {
    drop: (node: BlockNode): void => {
      this.#nodes.delete(node.name)
      this.events.emit('closed', { name: node.name })
    },
  }

  #opener(options: OpenOptions): NodeOpener {
    return new NodeOpener(
      {
        drivers: this.drivers,
        clock: this.clock,
        gate: this.#gate,
        probeImplicit: this.#probeImplicit,
        secret: this.#secret,
        names: this.#names,
        nodes: this.#nodes,
        owner: this,
        registry: this.#registry,
        opened: (node) => this.events.emit('opened', { node }),
        warn: (node, message) => this.events.emit('warning', { node, message }),
      },
      options,
    )
  }

  async #attachUser(node: BlockNode, options: OpenOptions): Promise<BlockNode> {
    const grant = options.passive ? { used: 0, shared: Permission.ALL } : userGrant(node.readOnly || (options.readOnly ?? false), options.noIo ?? false)
    const link = new Link('root', null, USER_ROLE, node, grant)
    node.parentLinks.add(link)
    try {
      await refreshPermissions([node])
    } catch (error) {
      node.parentLinks.delete(link)
      await closeUnused([node], this.#registry).catch(() => {})
      throw error
    }
    return node
  }

  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#lock.then(work)
    this.#lock = run.catch(() => {})
    return run
  }
}

function noSecret(id: string): never {
  throw new BlockError('not-found', `No secret with id '${id}'`, { errno: 'EINVAL', detail: { secret: id } })
}

/**
 * Makes a graph from drivers.
 *
 * @example
 * ```ts
 * await using graph = createGraph({ drivers: [qcow2, raw, file] })
 * const disk = await graph.open({ driver: 'qcow2', file: { driver: 'file', filename: 'vm.qcow2' } })
 * ```
 * @public
 */
export function createGraph<const D extends readonly AnyDriver[]>(options: GraphOptions<D>): Graph<D> {
  return new Graph(options)
}
