import { BlockError, isBlockError, type ChildHandle, type OpenContext } from '@blockloom/block-driver'
import type { DecodedHeaderArea } from '../on-disk/header-area.ts'
import type { Qcow2Options } from '../options.ts'
import { repairImage } from './repair.ts'

/**
 * Repairs an image whose dirty bit says that its refcounts may be behind, before it is opened for writing. Read-only
 * opens and checks leave it as it is.
 *
 * @returns what the first cluster says now
 * @throws BlockError `io`: "Could not repair dirty image"
 * @internal
 */
export async function repairIfDirty(context: OpenContext<Qcow2Options>, file: ChildHandle, area: DecodedHeaderArea): Promise<DecodedHeaderArea> {
  const { mode, signal } = context
  if (mode.readOnly || mode.forCheck || !area.header.features.dirty) return area
  try {
    const { result, area: repaired } = await repairImage({ file, area, geometry: area.geometry }, { fix: 'errors', ...(signal === undefined ? {} : { signal }) })
    const { corruptions, checkErrors, corruptionsFixed, leaksFixed } = result
    if (corruptions > 0 || checkErrors > 0) throw new BlockError('corrupt', `${corruptions} corruptions and ${checkErrors} errors of the check remain`, { errno: 'EIO' })
    if (corruptionsFixed > 0 || leaksFixed > 0) {
      context.warn(`The image was not closed properly: ${corruptionsFixed} corruptions and ${leaksFixed} leaked clusters were repaired`)
    }
    return repaired
  } catch (error) {
    if (!isBlockError(error)) throw error
    throw new BlockError('io', 'Could not repair dirty image', { cause: error })
  }
}
