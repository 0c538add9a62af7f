import type { BlockNode } from '@blockloom/block-core'

/** A part of the virtual disk, in bytes. @public */
export interface StreamRange {
  /** Default 0. */
  readonly start?: number
  /** Exclusive; default: the end of the disk. */
  readonly end?: number
  readonly signal?: AbortSignal
}

/** One chunk of a stream. */
const CHUNK = 1 << 20

/** Chunks read ahead of the consumer, in parallel. */
const AHEAD = 4

/** @internal */
export function readableFrom(node: BlockNode, range: StreamRange): ReadableStream<Uint8Array> {
  const end = Math.min(range.end ?? node.size, node.size)
  let at = range.start ?? 0
  const ahead: Promise<Uint8Array>[] = []
  const fill = (): void => {
    while (ahead.length < AHEAD && at < end) {
      const bytes = new Uint8Array(Math.min(CHUNK, end - at))
      const chunk = node.read(at, bytes).then(() => bytes)
      // Errors surface when the chunk's turn comes.
      chunk.catch(() => {})
      ahead.push(chunk)
      at += bytes.length
    }
  }
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        range.signal?.throwIfAborted()
        fill()
        const chunk = ahead.shift()
        if (chunk === undefined) controller.close()
        else controller.enqueue(await chunk)
      },
      async cancel() {
        at = end
        await Promise.allSettled(ahead)
      },
    },
    { highWaterMark: 0 },
  )
}

/** @internal */
export function writableTo(node: BlockNode, start: number): WritableStream<Uint8Array> {
  let at = start
  return new WritableStream<Uint8Array>({
    async write(chunk) {
      await node.write(at, chunk)
      at += chunk.length
    },
    close: () => node.flush(),
  })
}
