import { checkPassphrase } from '@blockloom/block-crypto'
import { BlockError, type SecretLookup } from '@blockloom/block-driver'

/**
 * The passphrase of `encrypt.key-secret`.
 *
 * @throws BlockError `invalid` without an id, or if it is no text; what the lookup throws
 * @internal
 */
export async function lookUpPassphrase(secret: SecretLookup, id: string | undefined): Promise<Uint8Array> {
  assertKeySecret(id)
  return checkPassphrase(id, await secret(id))
}

/** @throws BlockError `invalid` without an id @internal */
export function assertKeySecret(id: string | undefined): asserts id is string {
  if (id !== undefined) return
  throw new BlockError('invalid', "Parameter 'encrypt.key-secret' is required for cipher", { detail: { option: 'encrypt.key-secret' } })
}
