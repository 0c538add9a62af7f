/**
 * Those of an image's creation options that opening it needs too: the secrets that it is encrypted with
 * (`encrypt.key-secret`), flat or nested.
 *
 * @example
 * ```ts
 * keySecretOptions({ cluster_size: '4k', 'encrypt.format': 'luks', 'encrypt.key-secret': 'sec0' }) // { 'encrypt.key-secret': 'sec0' }
 * ```
 * @public
 */
export function keySecretOptions(options: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> {
  const found: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(options)) {
    if (name.endsWith('key-secret')) found[name] = value
    else if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      const inner = keySecretOptions(value as Readonly<Record<string, unknown>>)
      if (Object.keys(inner).length > 0) found[name] = inner
    }
  }
  return found
}
