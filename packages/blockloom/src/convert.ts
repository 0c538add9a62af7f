import { existsSync, rmSync } from 'node:fs'
import { copyImage, type CopyOptions } from './copy/copy-image.ts'
import { createImage, type CreateImageOptions } from './create-image.ts'
import { openImage, type OpenImageOptions } from './open-image.ts'

/** @public */
export interface ConvertOptions extends Pick<CopyOptions, 'compress' | 'sparse' | 'parallel' | 'outOfOrder' | 'rateLimit' | 'onProgress' | 'signal'> {
  /** How the source is opened. */
  readonly source: OpenImageOptions
  /** What is created. Its size is the source's. */
  readonly target: Omit<CreateImageOptions, 'size' | 'signal'>
  /** Make the target survive power loss before the promise resolves. Default true. */
  readonly flush?: boolean
}

/**
 * Makes a copy of an image in another format (or another shape of the same one). After a failure or an abort, a target
 * file that was not there before is removed.
 *
 * @example
 * ```ts
 * await convert('vm.qcow2', 'vm.raw', {
 *   source: { format: 'qcow2' },
 *   target: { format: 'raw' },
 *   onProgress: ({ done, total }) => console.log(`${Math.round((done / total) * 100)} %`),
 * })
 * ```
 * @public
 */
export async function convert(source: string, target: string, options: ConvertOptions): Promise<void> {
  const { source: how, target: what, flush = true, ...copy } = options
  const signal = options.signal
  const existed = existsSync(target)
  await using from = await openImage(source, { ...how, ...(signal === undefined ? {} : { signal }) })
  try {
    await createImage(target, { ...what, size: from.size, ...(signal === undefined ? {} : { signal }) })
    const to = await openImage(target, { format: what.format, write: true, implicit: 'allow', unmap: true, cache: { 'no-flush': !flush }, ...(what.secrets ? { secrets: what.secrets } : {}), ...(what.drivers ? { drivers: what.drivers } : {}) })
    try {
      await copyImage({ ...copy, sources: [from.node], target: to.node, targetIsZero: to.node.zeroInit })
    } finally {
      await to.close()
    }
  } catch (error) {
    if (!existed) rmSync(target, { force: true })
    throw error
  }
}
