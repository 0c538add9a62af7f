import path from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { judgePlan, planFrom, readReleases, type Releases } from '../src/release-policy.ts'

const root = path.resolve(import.meta.dirname, '../../..')

describe('releases of the contract', () => {
  let releases: Releases
  beforeAll(async () => {
    releases = await readReleases(root)
  })

  const outcome = (type: 'major' | 'minor' | 'patch', version = '1.0.0') => planFrom(releases, version, [{ name: '@blockloom/block-driver', type }])
  const released = (plan: ReturnType<typeof planFrom>) => plan.releases.filter((release) => release.type !== 'none')

  it('a minor release touches no driver', () => {
    expect(released(outcome('minor')).map(({ name, newVersion }) => `${name} ${newVersion}`).sort()).toEqual([
      '@blockloom/block-driver 1.1.0',
      '@blockloom/driver-testkit 1.1.0',
    ])
  })

  it('below 1.0.0 a minor release would touch every driver, so the first release is 1.0.0', async () => {
    const drivers = released(outcome('minor', '0.1.0')).filter(({ name }) => name.includes('/format-') || name.includes('/protocol-'))
    expect(drivers.length).toBeGreaterThan(0)
    const first = planFrom(releases, '0.0.0', releases.packages.packages.filter(({ packageJson }) => packageJson.private !== true).map(({ packageJson }) => ({ name: packageJson.name, type: 'major' })))
    expect(new Set(released(first).map(({ newVersion }) => newVersion))).toEqual(new Set(['1.0.0']))
  })

  it('a major release without one of the drivers is refused', () => {
    const problems = judgePlan(releases, outcome('major'))
    expect(problems.join('\n')).toContain('@blockloom/format-raw has it as a peer and needs a major changeset too')
    expect(judgePlan(releases, outcome('minor'))).toEqual([])
  })

  it('private packages are never released', () => {
    const names = released(outcome('major')).map(({ name }) => name)
    expect(names).not.toContain('@blockloom/oracle')
  })

  it('the testkit moves with the contract', () => {
    const plan = planFrom(releases, '1.0.0', [{ name: '@blockloom/driver-testkit', type: 'minor' }])
    expect(plan.releases.find(({ name }) => name === '@blockloom/block-driver')?.newVersion).toBe('1.1.0')
  })
})
