import { option } from '@blockloom/block-driver'

/** Options of an opened disk. @internal */
export const acmeOptions = {
  size: option.size('Size in bytes', { default: 1024 ** 3 }),
}
