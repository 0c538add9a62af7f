import type { ChildHandle, OptionsOf } from '@blockloom/block-driver'
import { BlockError } from '@blockloom/block-driver'
import type { rawOptions } from './options.ts'

/** What part of the file a raw image shows; `size` is undefined if it goes to the end. @internal */
export interface Window {
  readonly start: number
  readonly size: number | undefined
}

const SECTOR_SIZE = 512

/**
 * Checks the options `offset` and `size` against the file.
 *
 * @throws BlockError `invalid` in the reference's words
 * @internal
 */
export async function windowOf(file: ChildHandle, options: OptionsOf<typeof rawOptions>): Promise<Window> {
  const { offset: start, size } = options
  const actual = await file.size()
  if (start > actual) {
    throw new BlockError('invalid', `Offset (${start}) cannot be greater than size of the containing file (${actual})`, { detail: { option: 'offset' } })
  }
  if (size !== undefined && size > actual - start) {
    const message = `The sum of offset (${start}) and size (${size}) has to be smaller or equal to the  actual size of the containing file (${actual})`
    throw new BlockError('invalid', message, { detail: { option: 'size' } })
  }
  if (size !== undefined && size % SECTOR_SIZE !== 0) {
    throw new BlockError('invalid', `Specified size is not multiple of ${SECTOR_SIZE}`, { detail: { option: 'size' } })
  }
  return { start, size }
}
