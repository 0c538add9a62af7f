import { defineDriver } from '@blockloom/block-driver'
import { qcow2AmendOptions } from './amend/options.ts'
import { qcow2CreateOptions } from './create-options.ts'
import { createQcow2 } from './create.ts'
import { openInstance } from './instance.ts'
import { measureQcow2 } from './measure.ts'
import { hasQcow2Magic } from './on-disk/header-decode.ts'
import { qcow2Options } from './options.ts'

/**
 * qcow2, versions 2 and 3.
 *
 * @public
 */
export const qcow2 = defineDriver({
  name: 'qcow2',
  kind: 'format',
  summary: 'QEMU copy-on-write disk images, version 2 and 3',
  options: qcow2Options,
  children: {
    file: { doc: 'The image file', presence: 'required' },
    backing: { doc: 'Where clusters that the image does not have are read', presence: 'implicit' },
    'data-file': { doc: 'The external data file, for images that have one', presence: 'implicit' },
  },
  probe: (head) => (hasQcow2Magic(head) ? 100 : 0),
  open: openInstance,
  creation: { options: qcow2CreateOptions, amend: qcow2AmendOptions, create: createQcow2, measure: measureQcow2 },
})
