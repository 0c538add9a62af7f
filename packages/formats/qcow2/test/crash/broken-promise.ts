import type { Promised } from './guest.ts'

const STEP = 4096

/** The first byte that is neither what was flushed nor what a later change put there; null if all is well. */
export function brokenPromise(found: Uint8Array, { content, sizes, open }: Promised): string | null {
  if (!sizes.includes(found.length)) return `the disk has ${found.length} bytes, not ${sizes.join(' or ')}`
  for (let start = 0; start < found.length; start += STEP) {
    const end = Math.min(start + STEP, found.length)
    if (Buffer.compare(found.subarray(start, end), content.subarray(start, end)) === 0) continue
    const here = open.filter(({ offset, data }) => offset < end && offset + data.length > start)
    for (let at = start; at < end; at++) {
      if (found[at] === content[at] || here.some(({ offset, data }) => data[at - offset] === found[at])) continue
      return `byte ${at} is ${found[at]}, flushed was ${content[at]}`
    }
  }
  return null
}
