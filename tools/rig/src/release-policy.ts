import { assembleReleasePlan } from '@changesets/assemble-release-plan'
import { readConfig } from '@changesets/config'
import type { Config, NewChangeset, Packages, ReleasePlan } from '@changesets/types'
import { getPackages } from '@manypkg/get-packages'

const CONTRACT = '@blockloom/block-driver'

/** The workspace and its release settings, as changesets sees them. @internal */
export interface Releases {
  readonly packages: Packages
  readonly config: Config
}

/** Reads the packages and `.changeset/config.json`; settings that are not valid are an error. @internal */
export async function readReleases(root: string): Promise<Releases> {
  const packages = (await getPackages(root)) as unknown as Packages
  const { config, errors } = await readConfig(root, packages)
  if (config === undefined) throw new Error(errors.join('\n'))
  return { packages, config }
}

/** The plan that changesets would make of these changes, with every package at `version` before. @internal */
export function planFrom({ packages, config }: Releases, version: string, changes: NewChangeset['releases']): ReleasePlan {
  const started = { ...packages, packages: packages.packages.map((pkg) => ({ ...pkg, packageJson: { ...pkg.packageJson, version } })) }
  return assembleReleasePlan([{ id: 'simulated', summary: 'simulated', releases: changes }], started, config, undefined)
}

/**
 * What is wrong with a plan. changesets 3 gives the dependents of a release a patch at most, so a major contract
 * release would leave drivers with a patch that needs another contract: their changesets must say major.
 *
 * @internal
 */
export function judgePlan({ packages }: Releases, plan: ReleasePlan): readonly string[] {
  const types = new Map(plan.releases.map((release) => [release.name, release.type]))
  if (types.get(CONTRACT) !== 'major') return []
  return packages.packages
    .filter(({ packageJson }) => packageJson.private !== true && packageJson.peerDependencies?.[CONTRACT] !== undefined && types.get(packageJson.name) !== 'major')
    .map(({ packageJson }) => `${CONTRACT} becomes a new major: ${packageJson.name} has it as a peer and needs a major changeset too`)
}
