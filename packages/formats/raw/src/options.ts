import { option } from '@blockloom/block-driver'

/** Options of an opened raw image. @internal */
export const rawOptions = {
  offset: option.size('Where the image begins in the file, in bytes', { default: 0, reopen: true }),
  size: option.size('Size of the image, a multiple of 512 bytes; absent: to the end of the file', { reopen: true }),
}

/** Options of a new raw image. @internal */
export const rawCreateOptions = {
  size: option.size('Virtual disk size', { required: true }),
  preallocation: option.choice(['off', 'metadata', 'falloc', 'full'], 'Preallocation mode (allowed values: off, falloc, full)', { default: 'off' }),
}
