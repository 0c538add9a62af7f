import { BlockError, type AnyDriver } from '@blockloom/block-driver'

/** Bytes that formats look at (`BLOCK_PROBE_BUF_SIZE` of the reference). @internal */
export const PROBE_BYTES = 2048

/**
 * The format whose probe scores highest.
 *
 * @throws BlockError `invalid` if no format wants it, or two want it equally
 * @internal
 */
export function probeFormat(drivers: readonly AnyDriver[], head: Uint8Array, filename: string): AnyDriver {
  let best = 0
  let found: AnyDriver[] = []
  for (const driver of drivers) {
    if (driver.kind !== 'format') continue
    const score = driver.probe?.(head.slice(), filename) ?? 0
    if (score <= 0 || score < best) continue
    found = score > best ? [driver] : [...found, driver]
    best = score
  }
  if (found.length > 1) {
    throw new BlockError('invalid', `Could not determine image format: it looks like ${found.map((d) => d.name).join(' and ')} at once`, { detail: { filename } })
  }
  if (found.length === 0) {
    throw new BlockError('invalid', 'Could not determine image format: No compatible driver found', { errno: 'ENOENT', detail: { filename } })
  }
  return found[0]!
}

/** A format that takes anything, even a disk of zeroes: what is guessed when nothing else fits. @internal */
export function isFallback(driver: AnyDriver): boolean {
  return (driver.probe?.(new Uint8Array(PROBE_BYTES), '') ?? 0) > 0
}
