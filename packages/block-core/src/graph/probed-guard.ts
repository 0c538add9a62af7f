import { BlockError, type AnyDriver } from '@blockloom/block-driver'
import { readUnaligned } from '../emulate/unaligned.ts'
import type { BlockNode } from '../node/block-node.ts'
import { PROBE_BYTES, probeFormat } from './probe.ts'

/**
 * Protects an image whose format was guessed: a guest that writes another format's header into a raw disk would
 * choose what the next open takes it for, and with it which host files are read (CVE-2008-2004). Such writes fail
 * with EPERM.
 *
 * @internal
 */
export function guardProbed(node: BlockNode, drivers: readonly AnyDriver[], filename: string): void {
  node.requests.guardHead(PROBE_BYTES, async (offset, from) => {
    const head = new Uint8Array(PROBE_BYTES)
    await readUnaligned(node.plan, 0, head.subarray(0, Math.min(PROBE_BYTES, node.size)), 0)
    head.set(from.subarray(0, PROBE_BYTES - offset), offset)
    if (probeFormat(drivers, head, filename) === node.driver) return
    throw new BlockError(
      'denied',
      `The format of '${node.name}' was guessed, and this write would make it look like another one. Specify the '${node.driver.name}' format explicitly to allow it.`,
      { errno: 'EPERM', detail: { node: node.name, offset } },
    )
  })
}
