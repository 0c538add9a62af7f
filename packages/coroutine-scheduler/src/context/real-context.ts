import type { AioContext } from './aio-context.ts'
import { createHostClock } from './host-clock.ts'
import { LoopContext } from './loop-context.ts'
import { RealLoop } from './real-loop.ts'

/** Options of {@link createRealContext}. @public */
export interface RealContextOptions {
  /** Default: `main`. */
  readonly name?: string
}

/**
 * Makes a context on the host's event loop and monotonic clock, in Node and in browsers.
 *
 * Nothing has to be closed: a context without armed timers, sleeps or scheduled work holds nothing of the host. What a
 * bottom half or timer callback throws is reported as an uncaught exception and does not keep others from running.
 *
 * @public
 */
export function createRealContext(options: RealContextOptions = {}): AioContext {
  return new LoopContext(options.name ?? 'main', new RealLoop(createHostClock()))
}
