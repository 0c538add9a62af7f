import { getEventListeners } from 'node:events'

/** Lets all promise jobs that are ready run. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** How many listen for the abort of `signal`: a leak detector. */
export function listeners(signal: AbortSignal): number {
  return getEventListeners(signal, 'abort').length
}

/** Records in which order promises fulfil. */
export function recorder(): { readonly log: string[]; note<T>(name: string, promise: Promise<T>): Promise<T> } {
  const log: string[] = []
  return {
    log,
    note: async (name, promise) => {
      const value = await promise
      log.push(name)
      return value
    },
  }
}

/** Seeds for randomized tests: a fixed set, or the one in BLOCKLOOM_SEED to repeat a failure. */
export function seeds(count: number): number[] {
  const chosen = process.env['BLOCKLOOM_SEED']
  if (chosen !== undefined) return [Number(chosen)]
  return Array.from({ length: count }, (_, i) => 1000 + i)
}
