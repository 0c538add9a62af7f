// `npm run clean`: removes what builds and checks leave behind, and with it outputs of sources that are gone.
import { rmSync } from 'node:fs'
import path from 'node:path'
import { packageFolders, root } from './workspace.mjs'

for (const folder of ['temp', ...packageFolders().map((name) => `${name}/dist`)]) {
  rmSync(path.join(root, folder), { recursive: true, force: true })
}
