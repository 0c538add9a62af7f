import { DONE } from '@blockloom/block-driver'

interface Epoch {
  count: number
}

/**
 * Tells when everybody who was inside has left, without making anybody wait to get in.
 *
 * A request that has looked up where a cluster is uses that place for a while. Before a freed cluster can be used for
 * something else, all requests that may have looked it up earlier must be over.
 *
 * @internal
 */
export class Grace {
  #current: Epoch = { count: 0 }
  readonly #closed: { readonly epoch: Epoch; readonly resolve: () => void }[] = []

  enter(): Epoch {
    this.#current.count++
    return this.#current
  }

  leave(epoch: Epoch): void {
    epoch.count--
    if (epoch !== this.#current) this.#advance()
  }

  /** Stays inside until `request`, which has just started, ends. */
  during<T>(request: Promise<T>): Promise<T> {
    return (request as Promise<unknown>) === DONE ? request : this.#during(request)
  }

  async #during<T>(request: Promise<T>): Promise<T> {
    const epoch = this.enter()
    try {
      return await request
    } finally {
      this.leave(epoch)
    }
  }

  /** Resolves when all who are inside now have left. */
  async passed(): Promise<void> {
    if (this.#current.count === 0 && this.#closed.length === 0) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#closed.push({ epoch: this.#current, resolve })
    this.#current = { count: 0 }
    this.#advance()
    await promise
  }

  #advance(): void {
    while (this.#closed.length > 0 && this.#closed[0]!.epoch.count === 0) this.#closed.shift()!.resolve()
  }
}
