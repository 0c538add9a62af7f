import type { Instance } from '@blockloom/block-driver'
import { limits } from '@blockloom/block-driver'

/** One opened disk of `size` bytes. @internal */
export function acmeImage(size: number): Instance<{ readonly size: number }> {
  return {
    limits: limits(),
    size: () => size,
    read: async (_offset, into) => void into.fill(0),
    extents: async (_offset, bytes) => ({ kind: 'zero', bytes }),
    close: async () => {},
  }
}
