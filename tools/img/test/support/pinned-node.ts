import { fileURLToPath } from 'node:url'

/** The pinned runtime: it runs sources as they are. */
export const NODE = fileURLToPath(new URL('../../../../node_modules/node/bin/node', import.meta.url))
