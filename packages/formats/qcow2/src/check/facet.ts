import { BlockError, type CheckFacet, type CheckOptions, type CheckResult } from '@blockloom/block-driver'
import type { Qcow2Image } from '../image.ts'
import { readHeaderArea } from '../read-header.ts'
import { renew } from '../repair/renew.ts'
import { repairImage } from '../repair/repair.ts'
import type { SnapshotStore } from '../snapshot-store.ts'
import type { Qcow2Writer } from '../writer.ts'
import { checkImage } from './check.ts'

/**
 * The consistency check of an opened image. If it is open for writing, requests of the guest wait until the check
 * ends, and what is in memory is written first.
 *
 * @internal
 */
export function checkFacet(image: Qcow2Image, writer: Qcow2Writer | null, store: SnapshotStore): CheckFacet {
  return {
    ...(image.mode.readOnly ? {} : { fixes: ['leaks', 'errors'] }),
    check: async (options) => {
      if (options.fix !== 'none' && image.mode.readOnly) {
        throw new BlockError('unsupported', 'An image that is open read-only cannot be repaired', { detail: { option: 'fix' } })
      }
      if (writer === null) return options.fix === 'none' ? checkImage(image, options) : repair(image, options)
      using _closed = await writer.gate.close()
      await writer.grace.passed()
      try {
        await writer.settle()
      } catch (error) {
        if (image.corruption.first === null) throw error
      }
      if (options.fix === 'none') return await checkImage(image, options)
      // It is not written to any more, so what was to be written is lost: what is in the file is what is checked.
      if (image.corruption.first !== null) return await refuse(image, options)
      try {
        return await repair(image, options)
      } finally {
        await renewOrStop(image, writer, store)
      }
    },
  }
}

/** Repairs the file below the image. */
async function repair(image: Qcow2Image, options: CheckOptions): Promise<CheckResult> {
  try {
    const { result, area } = await repairImage(image, options)
    image.area = area
    return result
  } catch (error) {
    // It may have come some way.
    image.area = await readHeaderArea(image.file, true).catch(() => image.area)
    throw error
  }
}

/** Only checks. */
async function refuse(image: Qcow2Image, options: CheckOptions): Promise<CheckResult> {
  const result = await checkImage(image, options)
  options.report?.('ERROR the image was found to be corrupt while it was open: close it, then repair it', 'error')
  return { ...result, checkErrors: result.checkErrors + 1 }
}

/** If memory and file cannot be made to agree, nothing is written any more. */
async function renewOrStop(image: Qcow2Image, writer: Qcow2Writer, store: SnapshotStore): Promise<void> {
  // The repair failed half way: refcounts may be too low.
  if (image.area.header.features.corrupt) image.corruption.first ??= new BlockError('corrupt', 'A repair of the image has failed; it must be repaired before it can be changed', { errno: 'EIO' })
  try {
    await renew(image, writer, store)
  } catch (error) {
    image.corruption.first ??= new BlockError('io', 'The repaired image could not be read again; it must be closed before it can be changed', { cause: error })
  }
}
