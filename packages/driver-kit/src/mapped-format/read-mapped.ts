import { type MappedFormatInit, type Mapping, mappingAt } from './mapping.ts'
import { Runs } from './runs.ts'

// Requests to the children that one read keeps in flight.
const MOST_IN_FLIGHT = 16

/** Fills `into` from wherever the map says. @internal */
export async function readMapped(init: MappedFormatInit, offset: number, into: Uint8Array): Promise<void> {
  const found = mappingAt(init, offset, into.length)
  const first = found instanceof Promise ? await found : found
  // The common case: one place.
  if (first.bytes === into.length) return readRun(init, first, offset, into)

  const runs = new Runs(init, offset, into.length)
  let flying: Promise<void>[] = []
  let filled = 0
  try {
    for (let run = await runs.next(); run !== undefined; run = await runs.next()) {
      flying.push(readRun(init, run, offset + filled, into.subarray(filled, filled + run.bytes)))
      filled = filled + run.bytes
      if (flying.length === MOST_IN_FLIGHT) {
        const batch = flying
        flying = []
        await settled(batch)
      }
    }
  } catch (error) {
    // The buffer is the caller's again only when nobody fills it.
    await Promise.allSettled(flying)
    throw error
  }
  await settled(flying)
}

/** Fills `into` from one run. @internal */
export async function readRun(init: MappedFormatInit, run: Mapping, offset: number, into: Uint8Array): Promise<void> {
  if (run.kind === 'data') return init.file.read(run.host, into)
  const backing = run.kind === 'absent' ? init.backing?.current : null
  if (backing) return backing.read(offset, into)
  into.fill(0)
}

async function settled(requests: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(requests)) if (result.status === 'rejected') throw result.reason
}
