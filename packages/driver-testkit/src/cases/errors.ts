import { isBlockError, type BlockError } from '@blockloom/block-driver'
import { causedBy, type Faults } from '../child/faults.ts'
import { check, failure } from '../failure.ts'

/** How a request ended. @internal */
export type Outcome = { readonly ok: true } | { readonly ok: false; readonly error: unknown }

/** @internal */
export async function outcomeOf(work: () => Promise<unknown>): Promise<Outcome> {
  try {
    await work()
    return { ok: true }
  } catch (error) {
    // A breach that the kit found is no answer of the driver.
    if (error instanceof Error && error.name === 'ConformanceFailure') throw error
    return { ok: false, error }
  }
}

/** A failure is a BlockError and keeps what the child reported, with its errno. @internal */
export function checkInjected(error: unknown, faults: Faults, what: string): asserts error is BlockError {
  if (!isBlockError(error)) throw failure(`${what} failed with ${describe(error)}, expected a BlockError`, error)
  const { injected } = faults
  if (injected.length === 0) throw failure(`${what} failed, though no error was injected: ${describe(error)}`, error)
  if (!injected.some((one) => causedBy(error, one))) throw failure(`${what} failed without keeping the cause: ${describe(error)}`, error)
  check(injected[0]!.errno !== 'ENOSPC' || error.errno === 'ENOSPC', () => `${what} failed with ${error.errno}, the child said ENOSPC`)
}

/** @internal */
export function describe(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error)
}
