import { DONE } from '@blockloom/block-driver'

/** Marks a rejection as handled: {@link settleAll} reports it later. @internal */
export function settle<T>(promise: Promise<T>): Promise<T> {
  if ((promise as Promise<unknown>) !== DONE) promise.catch(() => {})
  return promise
}

/** Waits until all have ended, then throws the first error in the order given: nothing still touches the buffers. @internal */
export async function settleAll(requests: readonly Promise<unknown>[]): Promise<void> {
  if (requests.length === 0) return
  if (requests.length === 1) {
    await requests[0]
    return
  }
  const results = await Promise.allSettled(requests)
  for (const result of results) if (result.status === 'rejected') throw result.reason
}
