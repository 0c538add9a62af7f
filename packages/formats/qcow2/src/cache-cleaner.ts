import { BlockError, type AioContextFacet, type Clock } from '@blockloom/block-driver'
import type { TableCache } from '@blockloom/driver-kit'
import type { Qcow2Options } from './options.ts'

/** The reference's clock counts seconds in 32 bits. */
const MOST_SECONDS = 0xffff_ffff

/**
 * The interval of the option `cache-clean-interval`, in seconds.
 *
 * @throws BlockError `invalid`
 * @internal
 */
export function cacheCleanInterval(options: Qcow2Options): number {
  const seconds = options['cache-clean-interval']
  if (seconds >= 0 && seconds <= MOST_SECONDS) return seconds
  throw new BlockError('invalid', 'Cache clean interval too big', { detail: { option: 'cache-clean-interval' } })
}

/**
 * Drops entries of the metadata caches that were not used for an interval, as long as it is attached to a clock.
 *
 * It sleeps in the background: an image that nobody closes does not keep the process alive.
 *
 * @internal
 */
export class CacheCleaner implements AioContextFacet {
  readonly #seconds: number
  readonly #caches: readonly TableCache[]
  readonly #warn: (message: string) => void
  #stop: AbortController | null = null

  /** @param seconds - 0: never */
  constructor(seconds: number, caches: readonly TableCache[], warn: (message: string) => void) {
    this.#seconds = seconds
    this.#caches = caches
    this.#warn = warn
  }

  attach(clock: Clock): void {
    this.detach()
    if (this.#seconds === 0) return
    const stop = new AbortController()
    this.#stop = stop
    this.#run(clock, stop.signal).catch((error: unknown) => {
      if (!stop.signal.aborted) this.#warn(`Unused cache entries are not dropped any more: ${error instanceof Error ? error.message : String(error)}`)
    })
  }

  detach(): void {
    this.#stop?.abort()
    this.#stop = null
  }

  async #run(clock: Clock, signal: AbortSignal): Promise<void> {
    for (;;) {
      await clock.sleep(this.#seconds * 1000, signal, { background: true })
      for (const cache of this.#caches) cache.dropUnused()
    }
  }
}
