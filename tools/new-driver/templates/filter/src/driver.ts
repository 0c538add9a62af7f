import { defineFilter } from '@blockloom/block-driver'

/** The filter `acme`: shows its child as it is. Whatever its instance leaves out is forwarded by the core. @public */
export const acme = defineFilter({
  name: 'acme',
  summary: 'shows its child as it is',
  options: {},
  open: async () => ({ close: async () => {} }),
})
