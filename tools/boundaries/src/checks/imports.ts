import { builtinModules } from 'node:module'
import path from 'node:path'
import { isAllowed, speaksToTheHost } from '../arrows.ts'
import type { Finding } from '../finding.ts'
import { readSource } from '../source-file.ts'
import type { Package, Workspace } from '../workspace.ts'

const BUILTIN = new Set(builtinModules)

/** Imports follow the arrows, reach other packages through their front door only, and are declared. @internal */
export function checkImports(workspace: Workspace): readonly Finding[] {
  const findings: Finding[] = []
  for (const pkg of workspace.packages) {
    for (const file of [...pkg.sources, ...pkg.tests]) {
      for (const { specifier, line } of readSource(workspace.root, file).imports) {
        const message = judge(workspace, pkg, file, specifier)
        if (message !== undefined) findings.push({ where: `${file}:${line}`, message })
      }
    }
  }
  return findings
}

function judge(workspace: Workspace, pkg: Package, file: string, specifier: string): string | undefined {
  const inTests = pkg.tests.includes(file)
  if (specifier === '<computed>') {
    return inTests || pkg.group === 'tools' ? undefined : 'imports a computed name: write the name out, or take the module as an option'
  }
  if (specifier.startsWith('.')) return judgeRelative(pkg, file, specifier, inTests)
  if (specifier.startsWith('#')) return undefined
  if (specifier.startsWith('node:') || BUILTIN.has(specifier)) {
    if (!specifier.startsWith('node:')) return `imports '${specifier}': write 'node:${specifier}'`
    const allowed = inTests || speaksToTheHost(pkg) || file.endsWith('.node.ts')
    return allowed ? undefined : `imports '${specifier}': node:* belongs to protocols, blockloom, tools and files that end in .node.ts`
  }
  return judgePackage(workspace, pkg, specifier, inTests)
}

function judgeRelative(pkg: Package, file: string, specifier: string, inTests: boolean): string | undefined {
  const target = path.posix.join(path.posix.dirname(file), specifier)
  if (!target.startsWith(`${pkg.folder}/`)) return `imports '${specifier}': relative imports stay inside the package`
  if (!inTests && !target.startsWith(`${pkg.folder}/src/`) && !target.endsWith('.json')) return `imports '${specifier}': sources import sources only`
  const portable = !inTests && !speaksToTheHost(pkg) && !file.endsWith('.node.ts')
  if (portable && target.endsWith('.node.ts')) return `imports '${specifier}': reach a .node.ts file through a conditional export or import`
  return undefined
}

function judgePackage(workspace: Workspace, pkg: Package, specifier: string, inTests: boolean): string | undefined {
  const parts = specifier.split('/')
  const name = specifier.startsWith('@') ? parts.slice(0, 2).join('/') : (parts[0] ?? specifier)
  const subpath = `.${specifier.slice(name.length)}`
  const { manifest } = pkg
  const declared =
    name === manifest.name ||
    [manifest.dependencies, manifest.peerDependencies, manifest.optionalDependencies].some((list) => list?.[name] !== undefined) ||
    (inTests && manifest.devDependencies?.[name] !== undefined)
  const target = workspace.byName.get(name)
  if (target === undefined) {
    if (name.startsWith('@blockloom/')) return `imports '${specifier}': there is no such package`
    return declared ? undefined : `imports '${specifier}', which package.json does not list`
  }
  if (!inTests && target !== pkg && !isAllowed(pkg, target)) return `imports '${name}': the arrows do not allow ${pkg.folder} -> ${target.folder}`
  if (!declared) return `imports '${name}', which package.json does not list`
  if (target.manifest.exports?.[subpath] === undefined) return `imports '${specifier}': ${name} does not export '${subpath}'`
  return undefined
}
