import type { BlockNode, NodeSettings } from '../node/block-node.ts'
import type { EdgeParent } from '../node/link.ts'
import type { ParentState } from '../node/permissions.ts'

/** The upper end of a node's edges: its driver opens children before the node exists. @internal */
export class ParentStandIn implements EdgeParent {
  readonly name: string
  readonly permissionState: ParentState
  #node: BlockNode | null = null

  constructor(name: string, settings: NodeSettings) {
    this.name = name
    this.permissionState = { writable: !settings.readOnly, forceShare: settings.forceShare, noIo: settings.noIo }
  }

  get node(): BlockNode | null {
    return this.#node
  }

  become(node: BlockNode): void {
    this.#node = node
  }
}
