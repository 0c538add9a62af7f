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
  const run = (options: CheckOptions): Promise<CheckResult> => (options.fix === 'none' ? checkImage(image, options) : repair(image, writer, store, options))
  return {
    ...(image.mode.readOnly ? {} : { fixes: ['leaks', 'errors'] }),
    check: async (options) => {
      if (options.fix !== 'none' && image.mode.readOnly) {
        throw new BlockError('unsupported', 'An image that is open read-only cannot be repaired', { detail: { option: 'fix' } })
      }
      if (writer === null) return run(options)
      using _closed = await writer.gate.close()
      await writer.grace.passed()
      try {
        await writer.settle()
      } catch (error) {
        // An image found to be corrupt is not written to any more: what is in the file is what is checked.
        if (image.corruption.first === null || options.fix !== 'none') throw error
      }
      return await run(options)
    },
  }
}

/** Repairs the file below the image, then reads again what is in memory. */
async function repair(image: Qcow2Image, writer: Qcow2Writer | null, store: SnapshotStore, options: CheckOptions): Promise<CheckResult> {
  if (image.corruption.first !== null) {
    throw new BlockError('corrupt', 'The image was found to be corrupt while it was open: close it, then repair it', { errno: 'EIO', cause: image.corruption.first })
  }
  try {
    const { result, area } = await repairImage(image, options)
    image.area = area
    return result
  } catch (error) {
    // It may have come some way.
    image.area = await readHeaderArea(image.file, true)
    throw error
  } finally {
    if (writer !== null) await renewOrStop(image, writer, store)
  }
}

/** If memory and file cannot be made to agree, nothing is written any more. */
async function renewOrStop(image: Qcow2Image, writer: Qcow2Writer, store: SnapshotStore): Promise<void> {
  try {
    await renew(image, writer, store)
  } catch (error) {
    image.corruption.first ??= new BlockError('io', 'The repaired image could not be read again; it must be closed before it can be changed', { cause: error })
  }
}
