import path from 'node:path'
import type { Finding } from '../finding.ts'
import { readSource } from '../source-file.ts'
import type { Workspace } from '../workspace.ts'

const SUPPRESSIONS = /\b(?:oxlint|eslint)-(?:disable|enable)|@ts-(?:ignore|nocheck)/
const CATCH_ALL = new Set(['utils', 'util', 'common', 'helpers', 'helper', 'misc'])

/** No check is switched off in the code, and no file or folder is a drawer for everything. @internal */
export function checkSourceText(workspace: Workspace): readonly Finding[] {
  const findings: Finding[] = []
  for (const file of workspace.packages.flatMap((pkg) => [...pkg.sources, ...pkg.tests])) {
    const drawer = path.posix
      .relative('.', file)
      .split('/')
      .find((part) => CATCH_ALL.has(part.replace(/(\.test)?\.ts$/, '')))
    if (drawer !== undefined) findings.push({ where: file, message: `'${drawer}' says nothing: name the concept` })
    for (const comment of readSource(workspace.root, file).comments) {
      const match = SUPPRESSIONS.exec(comment.text)
      if (match !== null) findings.push({ where: `${file}:${comment.line}`, message: `'${match[0]}' switches a check off` })
    }
  }
  return findings
}
