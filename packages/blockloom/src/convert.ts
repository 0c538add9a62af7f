import { existsSync, rmSync } from 'node:fs'
import { assertStoresBitmaps, bitmapsToCopy, copyBitmaps } from './bitmaps/copy-bitmaps.ts'
import { copyImage, type CopyOptions } from './copy/copy-image.ts'
import { createImage, type CreateImageOptions } from './create-image.ts'
import { keySecretOptions } from './key-secrets.ts'
import { openImage, type OpenImageOptions } from './open-image.ts'

/** @public */
export interface ConvertOptions extends Pick<CopyOptions, 'compress' | 'sparse' | 'parallel' | 'outOfOrder' | 'rateLimit' | 'onProgress' | 'signal'> {
  /** How the source is opened. */
  readonly source: OpenImageOptions
  /** What is created. Its size is the source's. */
  readonly target: Omit<CreateImageOptions, 'size' | 'signal'>
  /** Make the target survive power loss before the promise resolves. Default true. */
  readonly flush?: boolean
  /**
   * Copy the source's persistent dirty bitmaps too. `true` fails if one is inconsistent, `skip-inconsistent` leaves those out.
   * Default false.
   */
  readonly bitmaps?: boolean | 'skip-inconsistent'
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
  const { source: how, target: what, flush = true, bitmaps = false, ...copy } = options
  const signal = options.signal
  const existed = existsSync(target)
  await using from = await openImage(source, { ...how, ...(signal === undefined ? {} : { signal }) })
  const skipInconsistent = bitmaps === 'skip-inconsistent'
  if (bitmaps !== false) bitmapsToCopy(from.node, skipInconsistent)
  try {
    await createImage(target, { ...what, size: from.size, ...(signal === undefined ? {} : { signal }) })
    const to = await openImage(target, { format: what.format, options: keySecretOptions(what.options), write: true, implicit: 'allow', unmap: true, cache: { 'no-flush': !flush }, ...(what.secrets ? { secrets: what.secrets } : {}), ...(what.drivers ? { drivers: what.drivers } : {}) })
    try {
      if (bitmaps !== false) assertStoresBitmaps(to.node)
      await copyImage({ ...copy, sources: [from.node], target: to.node, targetIsZero: to.node.zeroInit })
      if (bitmaps !== false) await copyBitmaps({ source: from.node, target: to.node, skipInconsistent })
    } finally {
      await to.close()
    }
  } catch (error) {
    if (!existed) rmSync(target, { force: true })
    throw error
  }
}
