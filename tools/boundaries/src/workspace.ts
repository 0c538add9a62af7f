import { existsSync, readFileSync, readdirSync } from 'node:fs'
import path from 'node:path'

/** The folders that hold packages, and what their packages' names start with. */
const GROUPS: ReadonlyMap<string, string> = new Map([
  ['packages', ''],
  ['packages/formats', 'format-'],
  ['packages/protocols', 'protocol-'],
  ['packages/filters', 'filter-'],
  ['packages/jobs', 'job-'],
  ['packages/exports', 'export-'],
  ['tools', ''],
])

/** The part of package.json that the checks read. @internal */
export interface Manifest {
  readonly name: string
  readonly private?: boolean
  readonly license?: string
  readonly type?: string
  readonly sideEffects?: boolean
  readonly engines?: Readonly<Record<string, string>>
  readonly files?: readonly string[]
  readonly exports?: Exports
  readonly imports?: Exports
  readonly bin?: Readonly<Record<string, string>>
  readonly scripts?: Readonly<Record<string, string>>
  readonly publishConfig?: { readonly access?: string; readonly exports?: Exports }
  readonly dependencies?: Dependencies
  readonly peerDependencies?: Dependencies
  readonly optionalDependencies?: Dependencies
  readonly devDependencies?: Dependencies
}

/** Names and ranges. @internal */
export type Dependencies = Readonly<Record<string, string>>

/** What one entry of `exports` points to: a file, nothing, or files by condition. @internal */
export type Target = string | null | { readonly [condition: string]: Target }

/** The `exports` or `imports` field. @internal */
export type Exports = Readonly<Record<string, Target>>

/** One package of the workspace. @internal */
export interface Package {
  /** Relative to the root, with `/`. */
  readonly folder: string
  /** The group's folder: `packages`, `packages/formats`, `tools`, … */
  readonly group: string
  readonly manifest: Manifest
  /** Relative to the root. */
  readonly sources: readonly string[]
  /** Relative to the root. */
  readonly tests: readonly string[]
}

/** A workspace as it stands on disk. @internal */
export interface Workspace {
  readonly root: string
  readonly packages: readonly Package[]
  readonly byName: ReadonlyMap<string, Package>
}

/** The name that a folder gives its package. @internal */
export function nameOf(folder: string): string {
  if (folder === 'packages/blockloom') return 'blockloom'
  const prefix = GROUPS.get(path.posix.dirname(folder))
  if (prefix === undefined) throw new Error(`${folder} is in no known group`)
  return `@blockloom/${prefix}${path.posix.basename(folder)}`
}

/** The packages that go to the registry. @internal */
export function isPublished(pkg: Package): boolean {
  return pkg.manifest.private !== true
}

/** Finds every package below the root. @internal */
export function readWorkspace(root: string): Workspace {
  const packages: Package[] = []
  for (const group of GROUPS.keys()) {
    for (const name of names(path.join(root, group))) {
      const folder = `${group}/${name}`
      const manifest = path.join(root, folder, 'package.json')
      if (!existsSync(manifest)) continue
      packages.push({
        folder,
        group,
        manifest: JSON.parse(readFileSync(manifest, 'utf8')) as Manifest,
        sources: typescript(root, `${folder}/src`),
        tests: typescript(root, `${folder}/test`),
      })
    }
  }
  return { root, packages, byName: new Map(packages.map((pkg) => [pkg.manifest.name, pkg])) }
}

function names(folder: string): readonly string[] {
  return existsSync(folder) ? readdirSync(folder).sort() : []
}

function typescript(root: string, folder: string): readonly string[] {
  const absolute = path.join(root, folder)
  if (!existsSync(absolute)) return []
  return readdirSync(absolute, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)).split(path.sep).join('/'))
    .sort()
}
