import type { BlockNode } from '@blockloom/block-core'

/** Bytes that are written before the host is asked to begin storing them. */
const EVERY = 32 << 20

/**
 * Has the host store what a long copy has written while the copy goes on, so that the flush at its end, which counts, does
 * not have to wait for all of it. Only the files below a format are flushed: its own metadata keeps its order.
 *
 * @internal
 */
export class EarlyFlush {
  readonly #files: readonly BlockNode[]
  #written = 0
  #running: Promise<unknown> | null = null

  constructor(target: BlockNode) {
    this.#files = filesOf(target)
  }

  /** So many bytes more were written. */
  wrote(bytes: number): void {
    this.#written += bytes
    if (this.#written < EVERY || this.#running !== null) return
    this.#written = 0
    // A failure is the last flush's to report: the host has lost something, and the file knows it.
    this.#running = Promise.allSettled(this.#files.map((file) => file.flush())).finally(() => {
      this.#running = null
    })
  }

  /** Nothing is in flight afterwards. */
  async settled(): Promise<void> {
    await this.#running
  }
}

/** The nodes at the bottom that store an image's data and metadata, backing files left out. */
function filesOf(node: BlockNode): BlockNode[] {
  const below = node.children.filter(({ name }) => name !== 'backing')
  return below.length === 0 ? [node] : below.flatMap((child) => filesOf(child.node))
}
