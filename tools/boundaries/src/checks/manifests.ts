import { isDeepStrictEqual } from 'node:util'
import { CONTRACT_IS_PEER, isAllowed } from '../arrows.ts'
import type { Finding } from '../finding.ts'
import { type Dependencies, type Exports, isPublished, nameOf, type Package, type Target, type Workspace } from '../workspace.ts'

const CONTRACT = '@blockloom/block-driver'

/** Names, arrows and the fields that every published package shares. @internal */
export function checkManifests(workspace: Workspace): readonly Finding[] {
  return workspace.packages.flatMap((pkg) => {
    const messages = [...name(pkg), ...dependencies(workspace, pkg), ...(isPublished(pkg) ? published(pkg) : [])]
    return messages.map((message) => ({ where: `${pkg.folder}/package.json`, message }))
  })
}

function* name(pkg: Package): Generator<string> {
  const expected = nameOf(pkg.folder)
  if (pkg.manifest.name !== expected) yield `is named '${pkg.manifest.name}': the folder makes it '${expected}'`
}

function* dependencies(workspace: Workspace, pkg: Package): Generator<string> {
  const { manifest } = pkg
  const runtime = { ...manifest.dependencies, ...manifest.optionalDependencies }
  for (const [field, list] of [
    ['dependencies', runtime],
    ['peerDependencies', manifest.peerDependencies ?? {}],
  ] as const) {
    for (const [dependency, range] of Object.entries(list)) {
      const target = workspace.byName.get(dependency)
      if (target === undefined) continue
      if (!isAllowed(pkg, target)) yield `${field}: the arrows do not allow ${pkg.folder} -> ${target.folder}`
      if (isPublished(pkg) && !isPublished(target)) yield `${field}: '${dependency}' is private, this package is published`
      if (isPublished(pkg) && range !== 'workspace:^') yield `${field}: '${dependency}' has range '${range}', write 'workspace:^'`
    }
  }
  yield* workspaceRanges(workspace, manifest.devDependencies ?? {})
  if (CONTRACT_IS_PEER.has(pkg.group)) {
    if (runtime[CONTRACT] !== undefined) yield `dependencies: '${CONTRACT}' is a peer: two copies of the contract do not mix`
    if (manifest.peerDependencies?.[CONTRACT] === undefined) yield `peerDependencies: '${CONTRACT}' is missing`
  }
}

function* workspaceRanges(workspace: Workspace, list: Dependencies): Generator<string> {
  for (const [dependency, range] of Object.entries(list)) {
    if (workspace.byName.has(dependency) && !range.startsWith('workspace:')) yield `devDependencies: '${dependency}' has range '${range}', write 'workspace:^'`
  }
}

function* published(pkg: Package): Generator<string> {
  const { manifest } = pkg
  if (manifest.license !== 'MIT') yield `license is '${manifest.license}', not 'MIT'`
  if (manifest.type !== 'module') yield `type is '${manifest.type}', not 'module'`
  if (manifest.sideEffects !== false) yield 'sideEffects is not false: importing has no effects'
  if (manifest.engines?.['node'] !== '>=22.15') yield `engines.node is '${manifest.engines?.['node']}', not '>=22.15'`
  if (manifest.publishConfig?.access !== 'public') yield "publishConfig.access is not 'public'"
  for (const file of ['dist', 'src', 'README.md', 'CHANGELOG.md']) {
    if (manifest.files?.includes(file) !== true) yield `files does not list '${file}'`
  }
  const entries: Exports = manifest.exports ?? {}
  if (entries['./internal/*'] !== null) yield `exports has no "./internal/*": null`
  if (manifest.publishConfig?.exports === undefined) {
    yield 'publishConfig.exports is missing'
    return
  }
  for (const [subpath, target] of Object.entries(entries)) yield* mirrored(subpath, target, manifest.publishConfig.exports[subpath])
  for (const subpath of Object.keys(manifest.publishConfig.exports)) {
    if (entries[subpath] === undefined) yield `publishConfig.exports['${subpath}'] has no counterpart in exports`
  }
}

function* mirrored(subpath: string, target: Target, actual: Target | undefined): Generator<string> {
  for (const file of unconditional(target)) {
    if (file.endsWith('.node.ts')) yield `exports['${subpath}'] points to ${file} without the 'node' condition`
  }
  const expected = compiled(target)
  if (!isDeepStrictEqual(actual, expected)) yield `publishConfig.exports['${subpath}'] is not ${JSON.stringify(expected)}`
}

/** What an entry of `exports` becomes when the package is published: sources turn into declarations and JavaScript. */
function compiled(target: Target): Target {
  if (target === null) return null
  if (typeof target === 'object') return Object.fromEntries(Object.entries(target).map(([condition, inner]) => [condition, compiled(inner)]))
  const match = /^\.\/src\/(.*)\.ts$/.exec(target)
  return match === null ? target : { types: `./dist/${match[1]}.d.ts`, default: `./dist/${match[1]}.js` }
}

function* unconditional(target: Target): Generator<string> {
  if (typeof target === 'string') yield target
  else if (target !== null) for (const [condition, inner] of Object.entries(target)) if (condition !== 'node') yield* unconditional(inner)
}
