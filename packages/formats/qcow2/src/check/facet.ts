import type { CheckFacet } from '@blockloom/block-driver'
import type { Qcow2Image } from '../image.ts'
import type { Qcow2Writer } from '../writer.ts'
import { checkImage } from './check.ts'

/**
 * The consistency check of an opened image. If it is open for writing, requests of the guest wait until the check
 * ends, and what is in memory is written first.
 *
 * @internal
 */
export function checkFacet(image: Qcow2Image, writer: Qcow2Writer | null): CheckFacet {
  return {
    check: async (options) => {
      if (writer === null) return checkImage(image, options)
      using _closed = await writer.gate.close()
      await writer.grace.passed()
      try {
        await writer.settle()
      } catch (error) {
        // An image found to be corrupt is not written to any more: what is in the file is what is checked.
        if (image.corruption.first === null) throw error
      }
      return await checkImage(image, options)
    },
  }
}
