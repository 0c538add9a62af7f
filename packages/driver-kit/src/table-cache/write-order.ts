import type { ChildHandle } from '@blockloom/block-driver'

/** What has to happen before a write-back. @internal */
export interface Prerequisites<C> {
  readonly caches: ReadonlySet<C>
  readonly flushes: ReadonlySet<ChildHandle>
}

/** The prerequisites of the next write-back of one cache. @internal */
export class WriteOrder<C> {
  #caches = new Set<C>()
  #flushes = new Set<ChildHandle>()

  after(cache: C, child: ChildHandle): void {
    this.#caches.add(cache)
    this.#flushes.add(child)
  }

  afterFlush(child: ChildHandle): void {
    this.#flushes.add(child)
  }

  /** True if `cache` is a prerequisite, directly or through others. */
  reaches(cache: C, orderOf: (cache: C) => WriteOrder<C>): boolean {
    for (const each of this.#caches) if (each === cache || orderOf(each).reaches(cache, orderOf)) return true
    return false
  }

  take(): Prerequisites<C> {
    const taken = { caches: this.#caches, flushes: this.#flushes }
    this.#caches = new Set()
    this.#flushes = new Set()
    return taken
  }

  restore(taken: Prerequisites<C>): void {
    for (const cache of taken.caches) this.#caches.add(cache)
    for (const child of taken.flushes) this.#flushes.add(child)
  }
}
