/** What a driver can be. @internal */
export const KINDS = ['format', 'protocol', 'filter'] as const

/** What a driver can be. @internal */
export type Kind = (typeof KINDS)[number]

/** What a new driver is called in its different places. @internal */
export interface Names {
  readonly kind: Kind
  /** As users write it: `null-co`. */
  readonly driver: string
  /** As code writes it: `nullCo`. */
  readonly camel: string
  /** As types write it: `NullCo`. */
  readonly pascal: string
  /** `@blockloom/protocol-null-co`. */
  readonly packageName: string
  /** `packages/protocols/null-co`. */
  readonly folder: string
}

// Words that no variable can be called; `null` is a driver all the same.
const RESERVED = new Set(['null', 'true', 'false', 'default', 'delete', 'export', 'import', 'new', 'in', 'if', 'do', 'for', 'void', 'with', 'await', 'enum', 'static', 'switch'])
const NAME = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/

/**
 * The names of a driver.
 *
 * @throws Error if the kind is not one or the name is not 2 to 24 lower case letters, digits and single dashes
 * @internal
 */
export function namesOf(kind: string, driver: string): Names {
  const known = KINDS.find((name) => name === kind)
  if (known === undefined) throw new Error(`'${kind}' is no kind of driver: ${KINDS.join(', ')}`)
  if (!NAME.test(driver) || driver.length < 2 || driver.length > 24) throw new Error(`'${driver}' is no name for a driver: lower case letters, digits and dashes, 2 to 24 of them`)
  const pascal = driver.split('-').map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('')
  const camel = pascal.charAt(0).toLowerCase() + pascal.slice(1)
  return {
    kind: known,
    driver,
    camel: RESERVED.has(camel) ? `${camel}Driver` : camel,
    pascal,
    packageName: `@blockloom/${known}-${driver}`,
    folder: `packages/${known}s/${driver}`,
  }
}
