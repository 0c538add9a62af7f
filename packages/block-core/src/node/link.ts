import { BlockError, Permission, type ChildHandle, type Extent, type FlushScope, type Limits, type ResizeOptions } from '@blockloom/block-driver'
import type { BlockNode } from './block-node.ts'
import { childGrant, type Grant, type ParentState, type Use } from './permissions.ts'

/** The upper end of an edge. @internal */
export interface EdgeParent {
  readonly name: string
  readonly permissionState: ParentState
  /** Null while the parent's driver is still opening. */
  readonly node: BlockNode | null
}

/**
 * An edge of the graph: what a parent (or a user, at the root) sees of a node. Requests enter the node's pipeline
 * below its public face: reads past the end give zeroes, and writes past the end grow it.
 *
 * @internal
 */
export class Link implements ChildHandle, Use {
  readonly name: string
  readonly role: number
  /** Whose edge it is; null for a user's. Before the parent's driver has opened, a stand-in. */
  #parent: EdgeParent | null
  #target: BlockNode
  /** At the root: what the user asked for. Below: computed from the parent. */
  #grant: Grant

  constructor(name: string, parent: EdgeParent | null, role: number, target: BlockNode, grant: Grant) {
    this.name = name
    this.#parent = parent
    this.role = role
    this.#target = target
    this.#grant = grant
  }

  get target(): BlockNode {
    return this.#target
  }

  /** The node above, once it exists; null for a user's edge. */
  get parent(): BlockNode | null {
    return this.#parent?.node ?? null
  }

  /** A user holds it, not a node. */
  get isUser(): boolean {
    return this.#parent === null
  }

  /** Points the edge at another node; the caller has drained and refreshes permissions. */
  retarget(node: BlockNode): void {
    this.#target = node
  }

  get used(): number {
    return this.#grant.used
  }

  get shared(): number {
    return this.#grant.shared
  }

  get owner(): string {
    return this.#parent === null ? 'the user' : `node '${this.#parent.name}'`
  }

  get as(): string {
    return this.name
  }

  /** What this edge should hold, given the parent's own parents. */
  wanted(parentGrant: Grant | null): Grant {
    if (this.#parent === null || parentGrant === null) return this.#grant
    return childGrant(this.role, this.#parent.permissionState, parentGrant)
  }

  setGrant(grant: Grant): void {
    this.#grant = grant
  }

  get nodeName(): string {
    return this.#target.name
  }

  get limits(): Limits {
    return this.#target.plan.limits
  }

  get writable(): boolean {
    return !this.#target.readOnly && (this.#grant.used & (Permission.WRITE | Permission.WRITE_UNCHANGED)) !== 0
  }

  get zeroInit(): boolean {
    return this.#target.plan.zeroInit
  }

  size(): number {
    return this.#target.size
  }

  read(offset: number, into: Uint8Array, flags = 0): Promise<void> {
    return this.#target.requests.read(offset, into, flags)
  }

  write(offset: number, from: Uint8Array, flags = 0): Promise<void> {
    const refused = this.#refuseWrite(offset, from.length)
    return refused ?? this.#target.requests.write(offset, from, flags)
  }

  zero(offset: number, bytes: number, flags = 0): Promise<void> {
    const refused = this.#refuseWrite(offset, bytes)
    return refused ?? this.#target.requests.zero(offset, bytes, flags)
  }

  discard(offset: number, bytes: number): Promise<void> {
    const refused = this.#refuseWrite(0, 0)
    return refused ?? this.#target.requests.discard(offset, bytes)
  }

  flush(scope: FlushScope): Promise<void> {
    return this.#target.requests.flush(scope)
  }

  extents(offset: number, bytes: number): Extent | Promise<Extent> {
    return this.#target.requests.extents(offset, bytes)
  }

  async resize(size: number, options: ResizeOptions = {}): Promise<void> {
    if (!this.#target.readOnly && (this.used & Permission.RESIZE) === 0) throw permissionError('resize', this.nodeName)
    await this.#target.requests.resize(size, options)
  }

  allocatedSize(): Promise<number | undefined> {
    return this.#target.allocatedSize()
  }

  #refuseWrite(offset: number, bytes: number): Promise<never> | null {
    if (!this.writable) return Promise.reject(permissionError('write', this.nodeName))
    if (offset + bytes > this.#target.size && (this.used & Permission.RESIZE) === 0) {
      return Promise.reject(permissionError('resize', this.nodeName))
    }
    return null
  }
}

function permissionError(what: string, nodeName: string): BlockError {
  return new BlockError('read-only', `Block node '${nodeName}' is read-only or its parent has no ${what} permission`, {
    errno: 'EPERM',
    detail: { node: nodeName },
  })
}
