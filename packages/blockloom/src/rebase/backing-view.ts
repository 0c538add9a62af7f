import type { BlockNode } from '@blockloom/block-core'
import { DONE } from '@blockloom/block-driver'

/** What a chain has in a range: zeroes, something that must be read, or what the common layer has. @internal */
export type ViewKind = 'zero' | 'data' | 'common'

/** @internal */
export interface ViewRun {
  readonly kind: ViewKind
  readonly bytes: number
}

/**
 * A backing chain as an overlay sees it: of any length, zeroes behind its end; or none, all zeroes.
 *
 * @internal
 */
export class BackingView {
  readonly #node: BlockNode | null
  readonly #common: BlockNode | null

  /** @param common - the layer of this chain that the other chain has too */
  constructor(node: BlockNode | null, common: BlockNode | null) {
    this.#node = node
    this.#common = common
  }

  /** The run at `offset`, at most `bytes` long. */
  async run(offset: number, bytes: number): Promise<ViewRun> {
    const node = this.#node
    if (node === null || offset >= node.size) return { kind: 'zero', bytes }
    const most = Math.min(bytes, node.size - offset)
    if (node === this.#common) return { kind: 'common', bytes: most }
    const status = await node.status(offset, most, this.#common)
    if (this.#common !== null && !status.allocated) return { kind: 'common', bytes: status.bytes }
    return { kind: status.zero ? 'zero' : 'data', bytes: status.bytes }
  }

  /** The same, looking through the common layer. */
  async resolved(offset: number, bytes: number): Promise<ViewRun> {
    const status = await this.#node!.status(offset, bytes)
    return { kind: status.zero ? 'zero' : 'data', bytes: status.bytes }
  }

  read(offset: number, into: Uint8Array): Promise<void> {
    const inside = this.#node === null ? 0 : Math.max(0, Math.min(into.length, this.#node.size - offset))
    into.fill(0, inside)
    return inside > 0 ? this.#node!.read(offset, inside === into.length ? into : into.subarray(0, inside)) : DONE
  }
}
