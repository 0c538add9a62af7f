import { existsSync, readFileSync, readdirSync } from 'node:fs'
import path from 'node:path'
import type { Finding } from '../finding.ts'
import { isPublished, type Workspace } from '../workspace.ts'

/** Every published package has a README, a changelog or a pending changeset, and an API report. @internal */
export function checkPublishedFiles(workspace: Workspace): readonly Finding[] {
  const pending = pendingChangesets(workspace.root)
  const findings: Finding[] = []
  for (const pkg of workspace.packages.filter(isPublished)) {
    const has = (file: string): boolean => existsSync(path.join(workspace.root, pkg.folder, file))
    const missing = (message: string): void => void findings.push({ where: pkg.folder, message })
    if (!has('README.md')) missing('has no README.md')
    if (!has('CHANGELOG.md') && !pending.has(pkg.manifest.name)) missing('has neither a CHANGELOG.md nor a changeset that names it')
    const report = `etc/${pkg.manifest.name.replace('@blockloom/', '')}.api.md`
    if (!has(report)) missing(`has no ${report}: run \`npm run api:update\``)
  }
  return findings
}

function pendingChangesets(root: string): ReadonlySet<string> {
  const folder = path.join(root, '.changeset')
  const names = new Set<string>()
  if (!existsSync(folder)) return names
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.md') && name !== 'README.md')) {
    const [, header = ''] = readFileSync(path.join(folder, file), 'utf8').split(/^---$/m)
    for (const match of header.matchAll(/^\s*["']?([^"':\s]+)["']?\s*:/gm)) names.add(match[1] ?? '')
  }
  return names
}
