import { BlockError } from '@blockloom/block-driver'

/** Secrets by the ids that options name (`encrypt.key-secret`): their bytes, or text. @public */
export type Secrets = Readonly<Record<string, Uint8Array | string>> | ((id: string) => Uint8Array | Promise<Uint8Array>)

type Lookup = (id: string) => Uint8Array | Promise<Uint8Array>

/** As graph option; nothing if there are none. @internal */
export function secretsOption(secrets: Secrets | undefined): { readonly secrets?: Lookup } {
  if (secrets === undefined) return {}
  if (typeof secrets === 'function') return { secrets }
  return { secrets: (id) => bytesOf(secrets, id) }
}

function bytesOf(secrets: Readonly<Record<string, Uint8Array | string>>, id: string): Uint8Array {
  const secret = Object.hasOwn(secrets, id) ? secrets[id] : undefined
  if (secret === undefined) throw new BlockError('not-found', `No secret with id '${id}'`, { errno: 'EINVAL', detail: { secret: id } })
  return typeof secret === 'string' ? new TextEncoder().encode(secret) : secret
}
