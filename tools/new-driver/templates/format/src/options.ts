import { option } from '@blockloom/block-driver'

/** Options of an opened image. @internal */
export const acmeOptions = {}

/** Options of a new image. @internal */
export const acmeCreateOptions = {
  size: option.size('Virtual disk size', { required: true }),
}
