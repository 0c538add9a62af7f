import { createGraph, type Gate, type Graph, type OpenOptions } from '@blockloom/block-core'
import type { AnyDriver } from '@blockloom/block-driver'
import { DiskImage } from './disk-image.ts'
import { allDrivers } from './drivers.ts'
import { secretsOption, type Secrets } from './secrets.ts'

/** @public */
export interface OpenImageOptions extends Omit<OpenOptions, 'readOnly'> {
  /**
   * Driver of the image. `probe` guesses from the first bytes: only for files that nobody untrusted could write to,
   * because a guest can make a raw disk look like anything.
   */
  readonly format: string
  /** Open for writing. Default false. */
  readonly write?: boolean
  /**
   * Files that the image names (backing files, data files). Default `deny`: opening fails if it names one, because an
   * untrusted image may name any file of the host. A function decides case by case.
   */
  readonly implicit?: Gate
  /** Options of the image's driver, such as `encrypt.key-secret`. */
  readonly options?: Readonly<Record<string, unknown>>
  /** Secrets that options name. */
  readonly secrets?: Secrets
  /** More drivers, or others. Default: {@link allDrivers}. */
  readonly drivers?: readonly AnyDriver[]
  /** Something the user should know that is no error. */
  readonly onWarning?: (message: string) => void
}

/**
 * Opens a disk image by name.
 *
 * @example
 * ```ts
 * await using disk = await openImage('vm.qcow2', { format: 'qcow2' })
 * const bootSector = await disk.read(0, 512)
 * ```
 * @param filename - a path, a protocol's name, or `json:{...}`
 * @public
 */
export async function openImage(filename: string, options: OpenImageOptions): Promise<DiskImage> {
  const { format, write = false, implicit = 'deny', drivers = allDrivers, options: more = {}, secrets, onWarning, ...open } = options
  const graph: Graph = createGraph<readonly AnyDriver[]>({ drivers, gate: implicit, probeImplicit: format === 'probe' || implicit === 'allow', ...secretsOption(secrets) })
  if (onWarning !== undefined) graph.events.on('warning', ({ message }) => onWarning(message))
  const how = { ...(format === 'probe' ? { probe: true } : { format }), options: more }
  return new DiskImage(graph, await graph.openFilename(filename, how, { ...open, readOnly: !write }))
}
