// Are the release settings valid, does every pending changeset name packages that exist, and is the plan sound?
import getReleasePlan from '@changesets/get-release-plan'
import { root } from './packages.ts'
import { judgePlan, readReleases } from './release-policy.ts'

const releases = await readReleases(root)
const plan = await getReleasePlan(root, undefined, releases.config)
const problems = judgePlan(releases, plan)
for (const problem of problems) console.error(problem)
console.log(`${plan.changesets.length} pending changesets, ${plan.releases.filter((release) => release.type !== 'none').length} releases planned`)
process.exitCode = problems.length === 0 ? 0 : 1
