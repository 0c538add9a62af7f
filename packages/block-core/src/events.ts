/** Removes what it was returned for; safe to call twice. @public */
export type Unsubscribe = () => void

/**
 * Typed events. Listeners run in the order they were added; one that throws does not keep the others from
 * running, its error is thrown asynchronously.
 *
 * @typeParam M - payload by event name
 * @public
 */
export class Events<M extends object> {
  readonly #listeners = new Map<keyof M, Set<(payload: never) => void>>()

  on<K extends keyof M>(event: K, listener: (payload: M[K]) => void): Unsubscribe {
    const set = this.#listeners.get(event) ?? new Set()
    this.#listeners.set(event, set)
    set.add(listener as (payload: never) => void)
    return () => void set.delete(listener as (payload: never) => void)
  }

  /** @internal */
  emit<K extends keyof M>(event: K, payload: M[K]): void {
    const set = this.#listeners.get(event)
    if (set === undefined) return
    for (const listener of [...set]) {
      try {
        ;(listener as (payload: M[K]) => void)(payload)
      } catch (error) {
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }
}
