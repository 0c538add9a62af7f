import { BlockError } from '@blockloom/block-driver'

/** A hash algorithm, by the name that LUKS headers and options use. @public */
export type HashName = 'md5' | 'sha1' | 'sha224' | 'sha256' | 'sha384' | 'sha512' | 'ripemd160'

const DIGEST_BYTES: Readonly<Record<HashName, number>> = { md5: 16, sha1: 20, sha224: 28, sha256: 32, sha384: 48, sha512: 64, ripemd160: 20 }

/** Whether a name from outside is one of ours. @internal */
export function isHashName(name: string): name is HashName {
  return Object.hasOwn(DIGEST_BYTES, name)
}

/** Bytes of a digest. @internal */
export function digestBytes(hash: HashName): number {
  return DIGEST_BYTES[hash]
}

/** @internal */
export function hashUnavailable(hash: HashName, cause?: unknown): BlockError {
  return new BlockError('unsupported', `Hash algorithm '${hash}' is not available on this host`, { ...(cause === undefined ? {} : { cause }), detail: { hash } })
}
