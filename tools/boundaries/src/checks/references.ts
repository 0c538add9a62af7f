import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import type { Finding } from '../finding.ts'
import type { Package, Workspace } from '../workspace.ts'

interface Project {
  readonly references?: readonly { readonly path: string }[]
}

/** tsconfig references are the package's workspace dependencies, the root's are all packages, and there is no cycle. @internal */
export function checkReferences(workspace: Workspace): readonly Finding[] {
  const findings: Finding[] = []
  const compare = (file: string, expected: readonly string[]): void => {
    const actual = references(workspace.root, file)
    for (const folder of expected) if (!actual.includes(folder)) findings.push({ where: file, message: `references lack '${folder}'` })
    for (const folder of actual) if (!expected.includes(folder)) findings.push({ where: file, message: `references '${folder}', which is not a dependency` })
  }
  compare('tsconfig.json', workspace.packages.map((pkg) => pkg.folder))
  for (const pkg of workspace.packages) compare(`${pkg.folder}/tsconfig.json`, dependencies(workspace, pkg))
  for (const cycle of cycles(workspace)) findings.push({ where: 'tsconfig.json', message: `packages depend on each other: ${cycle.join(' -> ')}` })
  return findings
}

function references(root: string, file: string): readonly string[] {
  if (!existsSync(path.join(root, file))) return []
  const project = JSON.parse(readFileSync(path.join(root, file), 'utf8')) as Project
  return (project.references ?? []).map((reference) => path.posix.join(path.posix.dirname(file), reference.path))
}

function dependencies(workspace: Workspace, pkg: Package): readonly string[] {
  const { dependencies: runtime, peerDependencies, optionalDependencies } = pkg.manifest
  const names = Object.keys({ ...runtime, ...peerDependencies, ...optionalDependencies })
  return names.flatMap((name) => workspace.byName.get(name)?.folder ?? [])
}

function* cycles(workspace: Workspace): Generator<readonly string[]> {
  const byFolder = new Map(workspace.packages.map((pkg) => [pkg.folder, pkg]))
  const done = new Set<string>()
  function* walk(folder: string, above: readonly string[]): Generator<readonly string[]> {
    if (above.includes(folder)) {
      yield [...above.slice(above.indexOf(folder)), folder]
      return
    }
    if (done.has(folder)) return
    const pkg = byFolder.get(folder)
    if (pkg !== undefined) for (const next of dependencies(workspace, pkg)) yield* walk(next, [...above, folder])
    done.add(folder)
  }
  for (const pkg of workspace.packages) yield* walk(pkg.folder, [])
}
