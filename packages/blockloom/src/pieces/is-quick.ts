/** Turns of the event loop that work on what the host has in memory may take. */
const QUICK = 2

/**
 * Resolves to true if `work` ends within a few turns of the event loop, however it ends. If it does not, something is
 * being waited for, and more should be in flight.
 *
 * @internal
 */
export async function isQuick(work: Promise<unknown>): Promise<boolean> {
  let ended = false
  const end = (): void => void (ended = true)
  work.then(end, end)
  for (let turn = 0; turn <= QUICK; turn++) {
    await Promise.resolve()
    if (ended) return true
    await new Promise((resolve) => setImmediate(resolve))
  }
  return ended
}
