import { luksInfo } from '@blockloom/block-crypto'
import type { Encryption } from './encryption.ts'

/** QAPI's `ImageInfoSpecificQCow2Encryption`, in the reference's order. @internal */
export function encryptionInfo({ format, header }: Encryption): Readonly<Record<string, unknown>> {
  if (header === null) return { format }
  const { 'cipher-mode': mode, slots, 'payload-offset': payload, 'master-key-iters': iters, ...names } = luksInfo(header)
  return { ...names, format, 'cipher-mode': mode, slots, 'payload-offset': payload, 'master-key-iters': iters }
}
