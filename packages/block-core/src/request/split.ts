/** Runs `step` over a range in pieces of at most `most` bytes, in order. One piece if `most` is Infinity. @internal */
export async function inPieces(offset: number, bytes: number, most: number, step: (offset: number, bytes: number, done: number) => Promise<void>): Promise<void> {
  if (bytes <= most) {
    await step(offset, bytes, 0)
    return
  }
  for (let done = 0; done < bytes; ) {
    const n = Math.min(most, bytes - done)
    await step(offset + done, n, done)
    done += n
  }
}

/** Rounds down to a multiple; safe integers. @internal */
export function alignDown(value: number, align: number): number {
  return value - (value % align)
}

/** Rounds up to a multiple; safe integers. @internal */
export function alignUp(value: number, align: number): number {
  const rest = value % align
  return rest === 0 ? value : value + (align - rest)
}
