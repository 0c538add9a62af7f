import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import type { Finding } from '../finding.ts'
import type { Workspace } from '../workspace.ts'

const ADDRESS = /\btarball:|\bhttps?:|\bgit\+|\bregistry\s*[=:]/

/** The lock file and npm's settings name versions and checksums, never where to download them. @internal */
export function checkInstallFiles(workspace: Workspace): readonly Finding[] {
  return ['pnpm-lock.yaml', 'pnpm-workspace.yaml', '.npmrc'].flatMap((file) => {
    const absolute = path.join(workspace.root, file)
    if (!existsSync(absolute)) return []
    return readFileSync(absolute, 'utf8')
      .split('\n')
      .flatMap((text, index) => (ADDRESS.test(text) ? [{ where: `${file}:${index + 1}`, message: 'holds a download address: it works on one machine only' }] : []))
  })
}
