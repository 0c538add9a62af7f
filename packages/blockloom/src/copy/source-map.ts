import type { BlockNode, BlockStatus } from '@blockloom/block-core'

/** What the copier does with a range. `backing`: leave it to the target's own backing file. @internal */
export type SourceKind = 'data' | 'zero' | 'backing'

/** @internal */
export interface SourceRun {
  readonly kind: SourceKind
  readonly offset: number
  readonly bytes: number
}

/** A piece of the concatenated sources. */
interface Part {
  readonly node: BlockNode
  readonly start: number
  readonly base: BlockNode | null
}

/** Several images, one behind the other, as one. @internal */
export class SourceMap {
  readonly #parts: readonly Part[]
  readonly size: number
  readonly #targetBacking: number | null

  /**
   * @param base - for a target with a backing file: what the source has in common with it; such ranges are `backing`
   * @param targetBacking - size of the target's backing file, or null if it has none
   */
  constructor(nodes: readonly BlockNode[], base: BlockNode | null, targetBacking: number | null) {
    let start = 0
    this.#parts = nodes.map((node) => {
      const part = { node, start, base }
      start += node.size
      return part
    })
    this.size = start
    this.#targetBacking = targetBacking
  }

  /** The run at `offset`, at most `bytes` long, clipped to one source; no promise if the source knows it already. */
  run(offset: number, bytes: number): SourceRun | Promise<SourceRun> {
    const part = this.#partAt(offset)
    const at = offset - part.start
    const status = part.node.status(at, Math.min(bytes, part.node.size - at), part.base)
    return status instanceof Promise ? status.then((known) => this.#run(offset, known)) : this.#run(offset, status)
  }

  #run(offset: number, status: BlockStatus): SourceRun {
    const run = { kind: this.#kind(status, offset), offset, bytes: status.bytes }
    if (run.kind !== 'backing') return run
    // Beyond the end of the target's backing file there is nothing to leave it to.
    return { ...run, bytes: Math.min(run.bytes, this.#targetBacking! - offset) }
  }

  #kind(status: BlockStatus, offset: number): SourceKind {
    if (status.data && !status.zero) return 'data'
    const backed = this.#targetBacking !== null && offset < this.#targetBacking
    if (!status.allocated && backed) return 'backing'
    return status.zero || !status.allocated ? 'zero' : 'data'
  }

  /** Reads across part boundaries. */
  read(offset: number, into: Uint8Array): Promise<void> {
    const part = this.#partAt(offset)
    const at = offset - part.start
    return at + into.length <= part.node.size ? part.node.read(at, into) : this.#readParts(offset, into)
  }

  async #readParts(offset: number, into: Uint8Array): Promise<void> {
    for (let done = 0; done < into.length; ) {
      const part = this.#partAt(offset + done)
      const at = offset + done - part.start
      const n = Math.min(into.length - done, part.node.size - at)
      await part.node.read(at, into.subarray(done, done + n))
      done += n
    }
  }

  #partAt(offset: number): Part {
    for (let i = this.#parts.length - 1; i >= 0; i--) {
      const part = this.#parts[i]!
      if (part.start <= offset && part.node.size > 0) return part
    }
    return this.#parts[0]!
  }
}
