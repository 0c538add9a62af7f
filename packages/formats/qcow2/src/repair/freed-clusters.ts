import type { ChildHandle } from '@blockloom/block-driver'

/** So many runs of clusters are collected. */
const MANY = 4096

/**
 * Clusters that have become free; their space is given back, as the reference does in every repair.
 *
 * @internal
 */
export class FreedClusters {
  readonly #file: ChildHandle
  readonly #clusterSize: number
  readonly #end: number
  #runs: { readonly first: number; count: number }[] = []

  /** @param end - clusters from there on keep what is in them */
  constructor(file: ChildHandle, clusterSize: number, end = Infinity) {
    this.#file = file
    this.#end = end
    this.#clusterSize = clusterSize
  }

  add(cluster: number): void {
    if (cluster >= this.#end) return
    const last = this.#runs.at(-1)
    if (last !== undefined && last.first + last.count === cluster) last.count++
    else this.#runs.push({ first: cluster, count: 1 })
  }

  get isMany(): boolean {
    return this.#runs.length >= MANY
  }

  /** When it is stable that they are free. */
  async discard(): Promise<void> {
    const runs = this.#runs
    this.#runs = []
    await this.#file.flush('stable')
    const size = await this.#file.size()
    for (const { first, count } of runs) {
      const offset = first * this.#clusterSize
      // Not all files can, and it does not matter.
      if (offset < size) await this.#file.discard(offset, Math.min(count * this.#clusterSize, size - offset)).catch(() => {})
    }
  }
}
