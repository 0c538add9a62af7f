import { BlockError } from '@blockloom/block-driver'
import type { BlockNode } from '../node/block-node.ts'
import { protocolSpec } from './filename.ts'
import type { Inherited, NodeOpener } from './open-node.ts'
import { PROBE_BYTES, probeFormat } from './probe.ts'
import { findDriver, parseJsonName, type RawSpec } from './raw-spec.ts'

/** How a filename becomes a node. @public */
export interface FilenameOptions {
  /** Driver of the format. */
  readonly format?: string
  /**
   * Guess the format from the first bytes if none is given. A guest can write any header into a raw disk: guess
   * only what nobody could have written to.
   */
  readonly probe?: boolean
  /** The protocol node alone, no format on it. */
  readonly protocolOnly?: boolean
  /** More options for the top node, as on a command line. */
  readonly options?: RawSpec
}

/** Opens a filename, or the spec in a `json:` name. @internal */
export async function filenameSpec(filename: string, how: FilenameOptions, opener: NodeOpener, inherited: Inherited = opener.root): Promise<BlockNode> {
  const { drivers } = opener.environment
  const more = how.options ?? {}
  if (filename.startsWith('json:')) return openJson(parseJsonName(filename), how, opener, inherited)
  const protocol = protocolSpec(filename, drivers)
  if (how.protocolOnly) return opener.open({ ...protocol, ...more }, inherited)
  if (how.format !== undefined) {
    const driver = findDriver(drivers, how.format)
    if (driver.kind === 'protocol') return opener.open({ ...(driver.parseFilename?.(filename) ?? { filename }), ...more, driver: driver.name }, inherited)
    return opener.open({ ...more, driver: how.format, file: protocol }, inherited)
  }
  return openProbed(protocol, more, how, filename, opener, inherited)
}

async function openJson(spec: RawSpec, how: FilenameOptions, opener: NodeOpener, inherited: Inherited): Promise<BlockNode> {
  const merged: Record<string, unknown> = { ...spec, ...how.options }
  if (merged['driver'] === undefined && how.format !== undefined) merged['driver'] = how.format
  if (merged['driver'] !== undefined) {
    if (how.format !== undefined && merged['driver'] !== how.format) {
      throw new BlockError('invalid', `Driver specified twice`, { detail: { option: 'driver' } })
    }
    const driver = findDriver(opener.environment.drivers, merged['driver'])
    // A protocol in JSON gets a format on top, as a plain name would.
    if (driver.kind !== 'protocol' || how.protocolOnly) return opener.open(merged, inherited)
    return openProbed(merged, {}, how, 'json:', opener, inherited)
  }
  const file: Record<string, unknown> = {}
  const rest: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(merged)) {
    if (name === 'file' && typeof value === 'object' && value !== null) Object.assign(file, value)
    else if (name.startsWith('file.')) file[name.slice(5)] = value
    else rest[name] = value
  }
  if (Object.keys(file).length === 0) throw new BlockError('invalid', 'Must specify either driver or file', { detail: { option: 'driver' } })
  return openProbed(file, rest, how, 'json:', opener, inherited)
}

async function openProbed(protocol: RawSpec, more: RawSpec, how: FilenameOptions, filename: string, opener: NodeOpener, inherited: Inherited): Promise<BlockNode> {
  if (how.probe !== true) {
    throw new BlockError('invalid', `The format of '${filename}' is not given, and guessing it is not allowed here`, { detail: { option: 'format', filename } })
  }
  const file = await opener.open(protocol, { ...inherited, unmap: true }, 'file.')
  let format: string
  try {
    const head = new Uint8Array(PROBE_BYTES)
    await file.requests.read(0, head, 0)
    format = probeFormat(opener.environment.drivers, head, filename).name
  } catch (error) {
    await opener.discard(file)
    throw error
  }
  try {
    return await opener.open({ ...more, driver: format, file: file.name }, { ...inherited, probed: true })
  } catch (error) {
    // Nobody else refers to it if the format failed before it attached it.
    await opener.discard(file)
    throw error
  }
}
