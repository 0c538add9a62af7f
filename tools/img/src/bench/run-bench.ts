import { RequestFlag } from '@blockloom/block-driver'
import { alignedBuffer, type DiskImage } from 'blockloom'

/** Buffers of this many bytes and more are blocks of memory of their own. */
const SHARED_BLOCK = 1024 * 1024

/** @internal */
export interface BenchOptions {
  readonly count: number
  /** Requests in flight. */
  readonly depth: number
  readonly offset: number
  readonly step: number
  readonly bufferSize: number
  readonly write: boolean
  /** Byte that is written. */
  readonly pattern: number
  /** A flush after every so many requests; 0: none. */
  readonly flushInterval: number
  /** Nothing is in flight while it flushes. */
  readonly drain: boolean
  readonly writethrough: boolean
}

/**
 * Sends requests, a fixed number at a time; each lane reuses its buffer. Offsets wrap at the end of the image.
 *
 * @throws what a request throws first; nothing is in flight any more by then
 * @internal
 */
export async function runBench(node: DiskImage['node'], options: BenchOptions): Promise<void> {
  const { count, depth, bufferSize, step, write, pattern, flushInterval, drain } = options
  const { size } = node
  const flags = options.writethrough ? RequestFlag.FUA : 0
  let next = options.offset
  let completed = 0
  let failed = false

  const buffers = laneBuffers(Math.min(depth, count), bufferSize)
  for (const buffer of buffers) buffer.fill(write ? pattern : 0)
  const lane = async (buffer: Uint8Array, budget: { left: number }): Promise<void> => {
    try {
      while (budget.left > 0 && !failed) {
        budget.left--
        const at = next
        next = (at + step) % size
        await (write ? node.write(at, buffer, flags) : node.read(at, buffer))
        completed++
        if (!drain && flushInterval > 0 && completed % flushInterval === 0) await node.flush()
      }
    } catch (error) {
      failed = true
      throw error
    }
  }
  const batch = flushInterval > 0 && drain ? flushInterval : count
  for (let left = count; left > 0; left -= batch) {
    const budget = { left: Math.min(batch, left) }
    await all(buffers.slice(0, budget.left).map((buffer) => lane(buffer, budget)))
    if (batch === flushInterval && left >= batch) await node.flush()
  }
}

/** Small buffers share a block of memory: only large blocks begin where they can be aligned. */
function laneBuffers(lanes: number, bytes: number): Uint8Array[] {
  if (bytes >= SHARED_BLOCK) return Array.from({ length: lanes }, () => alignedBuffer(bytes))
  const block = alignedBuffer(lanes * bytes)
  return Array.from({ length: lanes }, (_, i) => block.subarray(i * bytes, (i + 1) * bytes))
}

async function all(work: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(work)) if (result.status === 'rejected') throw result.reason
}
