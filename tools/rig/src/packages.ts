import path from 'node:path'
import { getPackages } from '@manypkg/get-packages'

/** The root of the repository. @internal */
export const root = path.resolve(import.meta.dirname, '../../..')

/** What an entry of `exports` points to. @internal */
export type Target = string | null | { readonly [condition: string]: Target }

/** The part of package.json that the checks read. @internal */
export interface Manifest {
  readonly name: string
  readonly version: string
  readonly private?: boolean
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly publishConfig?: { readonly exports?: Readonly<Record<string, Target>> }
}

/** A package that goes to the registry. @internal */
export interface PublishedPackage {
  /** Absolute. */
  readonly folder: string
  /** The name without its scope. */
  readonly shortName: string
  readonly manifest: Manifest
}

/** Every package of the workspace that is not private, in a fixed order. @internal */
export async function publishedPackages(): Promise<readonly PublishedPackage[]> {
  const { packages } = await getPackages(root)
  return packages
    .map(({ dir, packageJson }) => ({ folder: dir, manifest: packageJson as Manifest, shortName: packageJson.name.replace(/^@[^/]+\//, '') }))
    .filter(({ manifest }) => manifest.private !== true)
    .sort((a, b) => (a.folder < b.folder ? -1 : 1))
}
