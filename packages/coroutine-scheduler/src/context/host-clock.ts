/** What the real loop needs of its host. The only place of this package that touches the host's timers. @internal */
export interface HostClock {
  /** Milliseconds, fractional, monotonic. */
  now(): number
  /** Calls back in the next turn of the host's event loop, after pending promise jobs and I/O that is ready. */
  turn(callback: () => void): void
  /**
   * Calls back after about `ms` milliseconds, perhaps a little early; returns how to prevent that. In the background it
   * does not keep the process alive.
   */
  timeout(callback: () => void, ms: number, background: boolean): () => void
  /** Reports an error that nobody can catch, as the host does for an event handler that throws. */
  report(error: unknown): void
}

/** The clock of the host we run in. @internal */
export function createHostClock(): HostClock {
  return {
    now: createNow(),
    turn: createTurns(),
    timeout: (callback, ms, background) => {
      const handle: unknown = setTimeout(callback, ms)
      // Browsers have numbers, and nothing that is kept alive.
      if (background) (handle as { readonly unref?: () => void }).unref?.()
      return () => clearTimeout(handle as Parameters<typeof clearTimeout>[0])
    },
    report: (error) =>
      queueMicrotask(() => {
        throw error
      }),
  }
}

/** Node makes `performance` at its first use, of a dozen modules: it has the time at hand elsewhere. */
function createNow(): () => number {
  const { process } = globalThis as { readonly process?: { readonly versions?: { readonly node?: string }; uptime(): number } }
  return process?.versions?.node === undefined ? () => performance.now() : () => process.uptime() * 1000
}

function createTurns(): (callback: () => void) => void {
  const { setImmediate } = globalThis as { readonly setImmediate?: (callback: () => void) => unknown }
  if (setImmediate !== undefined) return (callback) => void setImmediate(callback)
  if (typeof MessageChannel === 'undefined') return (callback) => void setTimeout(callback, 0)
  // Browsers: a message is the only turn that is not held back like a nested timeout.
  const { port1, port2 } = new MessageChannel()
  const callbacks: (() => void)[] = []
  port1.onmessage = () => callbacks.shift()?.()
  return (callback) => {
    callbacks.push(callback)
    port2.postMessage(undefined)
  }
}
