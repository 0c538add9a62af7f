/**
 * Looks a secret up by its id (the value of an option such as `encrypt.key-secret`).
 *
 * @throws BlockError `not-found`
 * @public
 */
export type SecretLookup = (id: string) => Promise<Uint8Array>
