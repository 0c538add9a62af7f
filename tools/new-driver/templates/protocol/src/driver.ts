import { BlockError, defineDriver } from '@blockloom/block-driver'
import { acmeImage } from './image.ts'
import { acmeOptions } from './options.ts'

/** The protocol `acme`: a disk that reads as zeroes and cannot be written. @public */
export const acme = defineDriver({
  name: 'acme',
  kind: 'protocol',
  summary: 'a disk that reads as zeroes',
  options: acmeOptions,
  open: async ({ options, mode }) => {
    if (!mode.readOnly) throw new BlockError('read-only', 'An acme disk cannot be written')
    return acmeImage(options.size)
  },
})
