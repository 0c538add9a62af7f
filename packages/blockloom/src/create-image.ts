import { createGraph } from '@blockloom/block-core'
import type { AnyDriver } from '@blockloom/block-driver'
import { allDrivers } from './drivers.ts'
import { secretsOption, type Secrets } from './secrets.ts'

/** @public */
export interface CreateImageOptions {
  readonly format: string
  /** Virtual size in bytes, or text such as `10G`. */
  readonly size: number | string
  /** The format's creation options, by the names of `qemu-img create -o`. */
  readonly options?: Readonly<Record<string, unknown>>
  /** Secrets that options name. */
  readonly secrets?: Secrets
  readonly drivers?: readonly AnyDriver[]
  readonly onWarning?: (message: string) => void
  readonly signal?: AbortSignal
}

/**
 * Creates an empty image. An existing file is overwritten.
 *
 * @example
 * ```ts
 * await createImage('vm.qcow2', { format: 'qcow2', size: '10G', options: { cluster_size: '128k' } })
 * ```
 * @public
 */
export async function createImage(filename: string, options: CreateImageOptions): Promise<void> {
  const { format, size, drivers = allDrivers, secrets, onWarning, signal } = options
  const graph = createGraph<readonly AnyDriver[]>({ drivers, ...secretsOption(secrets) })
  if (onWarning !== undefined) graph.events.on('warning', ({ message }) => onWarning(message))
  await graph.create({ format, filename, options: { ...options.options, size }, ...(signal === undefined ? {} : { signal }) })
}
