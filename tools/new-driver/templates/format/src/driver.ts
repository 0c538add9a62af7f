import { ChildRole, defineDriver } from '@blockloom/block-driver'
import { createAcme } from './create.ts'
import { acmeImage } from './image.ts'
import { hasMagic } from './on-disk/header.ts'
import { acmeCreateOptions, acmeOptions } from './options.ts'

/** The format `acme`: a header, then the bytes of the disk. @public */
export const acme = defineDriver({
  name: 'acme',
  kind: 'format',
  summary: 'a header, then the bytes of the disk',
  options: acmeOptions,
  children: { file: { doc: 'The node that holds the image', presence: 'required' } },
  probe: (head) => (hasMagic(head) ? 100 : 0),
  open: async ({ child, mode }) => {
    const file = await child('file', { role: ChildRole.DATA | ChildRole.METADATA | ChildRole.PRIMARY })
    return acmeImage(file, mode.readOnly)
  },
  creation: { options: acmeCreateOptions, create: createAcme },
})
