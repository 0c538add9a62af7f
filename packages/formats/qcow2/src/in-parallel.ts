/** Requests that are under way together. */
const PARALLEL = 8

/**
 * Calls `work` for all items, a few at a time. Fails with one of their errors, when none is under way any more.
 *
 * @internal
 */
export async function inParallel<T>(items: readonly T[], work: (item: T, index: number) => Promise<void>): Promise<void> {
  let next = 0
  const errors: unknown[] = []
  const worker = async (): Promise<void> => {
    while (next < items.length && errors.length === 0) {
      const index = next++
      try {
        await work(items[index]!, index)
      } catch (error) {
        errors.push(error)
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(PARALLEL, items.length) }, worker))
  if (errors.length > 0) throw errors[0]
}
