import type { CreateContext, Measurement, MeasureContext, OptionsOf } from '@blockloom/block-driver'
import { BlockError, isBlockError } from '@blockloom/block-driver'
import type { rawCreateOptions } from './options.ts'

type RawCreateOptions = OptionsOf<typeof rawCreateOptions>

const SECTOR_SIZE = 512

/**
 * Gives the file its size; a raw image has nothing else. A file whose size is fixed (a host device) is accepted
 * if it is large enough.
 *
 * @internal
 */
export async function createRaw({ file, options }: CreateContext<RawCreateOptions>): Promise<void> {
  if (file === null) throw new BlockError('invalid', "Parameter 'file' is missing", { detail: { option: 'file' } })
  // The reference knows the word, but a raw image has no metadata.
  if (options.preallocation === 'metadata') throw new BlockError('unsupported', 'Unsupported preallocation mode: metadata', { detail: { option: 'preallocation' } })
  const existing = await file.size()
  try {
    // What is in the file would show through.
    if (existing > 0) await file.resize(0)
    await file.resize(options.size, { preallocation: options.preallocation })
  } catch (error) {
    const fixed = isBlockError(error, 'unsupported') && (await file.size()) === existing
    if (!fixed || existing < options.size || options.preallocation !== 'off') throw error
  }
}

/** A raw image takes its size, in whole sectors, whatever is in it. @internal */
export async function measureRaw({ size }: MeasureContext<RawCreateOptions>): Promise<Measurement> {
  const bytes = Math.ceil(size / SECTOR_SIZE) * SECTOR_SIZE
  return { required: bytes, fullyAllocated: bytes }
}
