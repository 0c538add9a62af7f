import type { Finding } from '../finding.ts'
import { readSource, type Word } from '../source-file.ts'
import type { Workspace } from '../workspace.ts'

const FORMATS = ['bochs', 'cloop', 'dmg', 'luks', 'parallels', 'qcow', 'qcow2', 'qed', 'vdi', 'vhd', 'vhdx', 'vmdk', 'vpc']

/** The graph knows no format: no identifier and no string of block-core contains the name of one. @internal */
export function checkFormatNames(workspace: Workspace): readonly Finding[] {
  const own = workspace.packages.filter((pkg) => pkg.group === 'packages/formats').map((pkg) => pkg.folder.split('/').at(-1) ?? '')
  const names = new Set([...FORMATS, ...own.filter((name) => name !== 'raw')])
  const findings: Finding[] = []
  for (const file of workspace.packages.find((pkg) => pkg.folder === 'packages/block-core')?.sources ?? []) {
    for (const word of readSource(workspace.root, file).words) {
      const format = formatIn(word, names)
      if (format !== undefined) findings.push({ where: `${file}:${word.line}`, message: `names the format '${format}': the core knows no format` })
    }
  }
  return findings
}

function formatIn(word: Word, names: ReadonlySet<string>): string | undefined {
  // 'raw' is also an ordinary word: only the whole string is the format.
  if (word.kind === 'string' && word.text === 'raw') return 'raw'
  const parts = word.text.match(/[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+\d*/g) ?? []
  return parts.map((part) => part.toLowerCase()).find((part) => names.has(part))
}
