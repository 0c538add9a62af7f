import { BlockError, option, parseOptions, type AnyDriver } from '@blockloom/block-driver'

/** A node's spec before validation: from code, JSON or a command line. @public */
export type RawSpec = Readonly<Record<string, unknown>>

/** Options that every node has, whatever its driver. @internal */
export const NODE_OPTIONS = {
  'node-name': option.string('Name of the node in the graph'),
  'read-only': option.boolean('Nobody may write through this node'),
  'detect-zeroes': option.choice(['off', 'on', 'unmap'], 'Turn writes of zeroes into write-zeroes', { default: 'off' }),
  // `off` and `on` are what the reference's command lines may say too.
  discard: option.choice(['ignore', 'unmap', 'off', 'on'], 'What becomes of discard requests'),
  'force-share': option.boolean('Tolerate writers in other processes', { default: false }),
} as const

/** A spec taken apart. @internal */
export interface SplitSpec {
  readonly driver: AnyDriver
  readonly node: { readonly 'node-name'?: string; readonly 'read-only'?: boolean; readonly 'detect-zeroes': 'off' | 'on' | 'unmap'; readonly discard?: 'ignore' | 'unmap'; readonly 'force-share': boolean }
  readonly options: Readonly<Record<string, unknown>>
  /** Child specs as given: an object, a node's name, null, or absent. */
  readonly children: ReadonlyMap<string, RawSpec | string | null>
}

/** Finds the driver of a name. @internal */
export function findDriver(drivers: readonly AnyDriver[], name: unknown, prefix = ''): AnyDriver {
  if (name === undefined) throw new BlockError('invalid', `Parameter '${prefix}driver' is missing`, { detail: { option: 'driver' } })
  const driver = drivers.find((d) => d.name === name)
  if (driver === undefined) throw new BlockError('invalid', `Unknown driver '${String(name)}'`, { detail: { option: 'driver' } })
  return driver
}

/**
 * Takes a spec apart and validates it. `file.filename=x` and `{ file: { filename: x } }` are the same.
 *
 * @throws BlockError `invalid` naming the option
 * @internal
 */
export function splitSpec(spec: RawSpec, drivers: readonly AnyDriver[], prefix = ''): SplitSpec {
  const driver = findDriver(drivers, spec['driver'], prefix)
  const own: Record<string, unknown> = {}
  const node: Record<string, unknown> = {}
  const children = new Map<string, Record<string, unknown> | string | null>()
  for (const [name, value] of Object.entries(spec)) {
    if (name === 'driver') continue
    const dot = name.indexOf('.')
    const head = dot > 0 ? name.slice(0, dot) : name
    if (Object.hasOwn(driver.children, head)) putChild(children, head, dot > 0 ? name.slice(dot + 1) : null, value, prefix)
    else if (Object.hasOwn(NODE_OPTIONS, name) && !Object.hasOwn(driver.options, name)) node[name] = value
    else own[name] = value
  }
  return {
    driver,
    node: parseOptions(NODE_OPTIONS, { ...node, ...discardMode(node['discard']) }, { prefix }) as SplitSpec['node'],
    options: parseOptions(driver.options, own, { prefix, unknown: (option) => `Block ${driver.kind === 'protocol' ? 'protocol' : 'format'} '${driver.name}' does not support the option '${option}'` }),
    children,
  }
}

function discardMode(given: unknown): { readonly discard?: string } {
  if (given === 'on') return { discard: 'unmap' }
  return given === 'off' ? { discard: 'ignore' } : {}
}

function putChild(children: Map<string, Record<string, unknown> | string | null>, slot: string, rest: string | null, value: unknown, prefix: string): void {
  if (value === undefined) return
  const have = children.get(slot)
  if (rest !== null) {
    if (typeof have === 'string' || have === null) throw new BlockError('invalid', `Cannot mix '${prefix}${slot}' with '${prefix}${slot}.${rest}'`)
    children.set(slot, { ...have, [rest]: value })
  } else if (value === null || typeof value === 'string') {
    if (have !== undefined) throw new BlockError('invalid', `Cannot mix '${prefix}${slot}' with members of it`)
    // The reference takes an empty string for null, because its command line has no null.
    children.set(slot, value === '' ? null : value)
  } else if (typeof value === 'object' && !Array.isArray(value)) {
    children.set(slot, { ...(typeof have === 'object' ? have : undefined), ...value })
  } else {
    throw new BlockError('invalid', `Parameter '${prefix}${slot}' expects an object, a node name or null`, { detail: { option: prefix + slot } })
  }
}

/**
 * The options in a `json:{...}` name.
 *
 * @throws BlockError `invalid` if it is not JSON, or not an object
 * @internal
 */
export function parseJsonName(filename: string): RawSpec {
  let value: unknown
  try {
    value = JSON.parse(filename.slice('json:'.length))
  } catch (cause) {
    throw new BlockError('invalid', 'Could not parse the JSON options', { cause })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new BlockError('invalid', 'Invalid JSON object given')
  }
  return value as RawSpec
}
