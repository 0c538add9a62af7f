import type { Extent } from '@blockloom/block-driver'
import { check } from '../failure.ts'

/** The rules of an extent that need no knowledge of the bytes. @internal */
export function checkExtent(extent: Extent, asked: number, what: string): void {
  check(['data', 'zero', 'absent', 'encoded'].includes(extent.kind), `${what} has the kind '${extent.kind}'`)
  check(Number.isSafeInteger(extent.bytes) && extent.bytes >= 1, `${what} covers ${extent.bytes} bytes, at least 1 is due`)
  check(extent.bytes <= asked, `${what} covers ${extent.bytes} bytes, more than asked`)
  if ((extent.kind === 'data' || extent.kind === 'zero') && extent.host) {
    const { child, offset } = extent.host
    check(Number.isSafeInteger(offset) && offset >= 0, `${what} names the host offset ${offset}`)
    check(child === null || typeof child.read === 'function', `${what} names a host child that is none`)
  }
}
