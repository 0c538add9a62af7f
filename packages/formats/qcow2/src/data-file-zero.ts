import { isBlockError, RequestFlag } from '@blockloom/block-driver'
import type { Qcow2Image } from './image.ts'

/**
 * Gives space of an external data file back, before the L2 entries change. It is zeroed rather than discarded, so that
 * a crash in between shows zeroes and not whatever a discard leaves; where that is not cheap nothing is done.
 *
 * @internal
 */
export async function unmapDataFile(image: Qcow2Image, at: number, to: number): Promise<void> {
  const end = Math.min(to, image.header.size)
  if (end <= at) return
  try {
    await image.dataFile!.zero(at, end - at, RequestFlag.MAY_UNMAP + RequestFlag.NO_FALLBACK)
  } catch (error) {
    if (!isBlockError(error, 'unsupported')) throw error
  }
}

/** Zeroes a raw external data file, which must read the same without the L2 tables. @internal */
export async function zeroRawDataFile(image: Qcow2Image, at: number, to: number, flags: number): Promise<void> {
  const keep = RequestFlag.MAY_UNMAP + RequestFlag.NO_FALLBACK
  const end = Math.min(to, image.header.size)
  if (end > at) await image.dataFile!.zero(at, end - at, flags & keep)
}
