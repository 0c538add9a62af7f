import { describe, expect, it } from 'vitest'
import { limits, RequestFlag, type Instance } from '@blockloom/block-driver'
import { formatCases, INSTANCE_FACETS, MEMBER_FACETS, register, runCase, type Case, type FormatFixture } from '@blockloom/driver-testkit'
import { TOY_FACETS, toyFixture } from './toy/toy-driver.ts'

/** A runner that only notes what it is told. */
function collecting() {
  const tests: { name: string; body: () => Promise<void> }[] = []
  return {
    tests,
    runner: { describe: (_name: string, body: () => void) => body(), it: (name: string, body: () => Promise<void>) => void tests.push({ name, body }) },
  }
}

const probing = 'probe: pure, from 0 to 100, and knows its own images'
const brokenProbe = () => toyFixture({ table: (right) => Object.freeze({ ...right, probe: () => 1000 }) })

describe('register', () => {
  it('makes one test for each case, with names that are unique', () => {
    const { tests, runner } = collecting()
    const cases = formatCases()
    register(cases, () => toyFixture(), runner)
    expect(tests.map(({ name }) => name)).toEqual(cases.map(({ name }) => name))
    expect(new Set(tests.map(({ name }) => name)).size).toBe(cases.length)
  })

  it('shows the reason of an exclusion in the name, and expects the case to fail', async () => {
    const { tests, runner } = collecting()
    register(formatCases({ exclude: { [probing]: 'scores are permille here' } }), brokenProbe, runner)
    const test = tests.find(({ name }) => name.startsWith(probing))!
    expect(test.name).toBe(`${probing} (known to fail: scores are permille here)`)
    await test.body()
  })

  it('fails when an excluded case passes', async () => {
    const { tests, runner } = collecting()
    register(formatCases({ exclude: { [probing]: 'was broken once' } }), () => toyFixture(), runner)
    await expect(tests.find(({ name }) => name.startsWith(probing))!.body()).rejects.toThrow(/remove its exclusion \(was broken once\)/)
  })

  it('refuses exclusions of nothing and without a reason', () => {
    expect(() => formatCases({ exclude: { 'no such case': 'because' } })).toThrow("there is no case 'no such case' to exclude")
    expect(() => formatCases({ exclude: { [probing]: ' ' } })).toThrow(/needs a reason/)
  })

  it('gives each case its own fixture and disposes of it, also after a failure', async () => {
    let made = 0
    let disposed = 0
    const { tests, runner } = collecting()
    const make = (): FormatFixture => {
      made++
      return { ...brokenProbe(), dispose: async () => void disposed++ }
    }
    register(formatCases().filter(({ name }) => name.startsWith('probe') || name.startsWith('table')), make, runner)
    await Promise.allSettled(tests.map(({ body }) => body()))
    expect(made).toBe(tests.length)
    expect(disposed).toBe(made)
  })
})

describe('a case without its facet', () => {
  const needing = (facet: string) => formatCases().find((one) => one.needs.length === 1 && one.needs[0] === facet) as Case<FormatFixture>

  it('checks that the facet is absent, on the table', async () => {
    const without = { ...toyFixture(), facets: TOY_FACETS.filter((facet) => facet !== 'probe') }
    await expect(runCase(needing('probe'), without)).rejects.toThrow(/the driver has 'probe', which the fixture does not list/)
    const { driver } = toyFixture({ table: (right) => Object.freeze(Object.fromEntries(Object.entries(right).filter(([key]) => key !== 'probe'))) })
    await runCase(needing('probe'), { ...without, driver })
  })

  it('checks that the facet is absent, on the image', async () => {
    const facets = TOY_FACETS.filter((facet) => facet !== 'info')
    await expect(runCase(needing('info'), { ...toyFixture(), facets })).rejects.toThrow(/the image has 'info'/)
    await runCase(needing('info'), { ...toyFixture({ instance: () => ({ info: undefined }) as never }), facets })
  })

  it('lets a changing member be absent if the fixture says so, whatever else its facet has', async () => {
    const absent = ['snapshots.create', 'snapshots.revert', 'backing.change']
    const bare = toyFixture({
      instance: (_image, { snapshots, backing }) => ({
        snapshots: { list: () => snapshots!.list(), openReadOnly: (select) => snapshots!.openReadOnly(select), ...(snapshots!.remove && { remove: snapshots!.remove }) },
        backing: { named: backing!.named },
      }),
    })
    const about = formatCases().filter(({ name, needs }) => name.startsWith('facets') || needs.some((facet) => /^(snapshots|backing)($|\.)/.test(facet)))
    expect(about.length).toBeGreaterThan(5)
    for (const one of about) await runCase(one, { ...bare, facets: TOY_FACETS.filter((facet) => !absent.includes(facet)) })
    await expect(runCase(about[0]!, bare)).rejects.toThrow(/the image lacks 'snapshots.create'/)
    await expect(runCase(needing('snapshots'), { ...toyFixture(), facets: TOY_FACETS.filter((facet) => facet !== 'snapshots.create') })).resolves.toBeUndefined()
    await expect(runCase(about[0]!, { ...toyFixture(), facets: TOY_FACETS.filter((facet) => facet !== 'snapshots.create') })).rejects.toThrow(/the image has 'snapshots.create'/)
  })

  it('gives MAY_UNMAP and NO_FALLBACK to zero, and no other flag that is not honoured', async () => {
    const seen = new Set<number>()
    const noting = toyFixture({
      instance: (image, right) => (right.zero ? { zero: (offset, bytes, flags) => (seen.add(flags), image.zero(offset, bytes)) } : {}),
    })
    for (const one of formatCases().filter(({ name }) => name.startsWith('zero: '))) await runCase(one, noting)
    expect([...seen].sort()).toEqual([0, RequestFlag.MAY_UNMAP, RequestFlag.NO_FALLBACK])
  })

  it('lets a driver without a writer refuse to open for writing', async () => {
    const { driver, facets } = toyFixture()
    const sample = async () => {
      const bytes = new Uint8Array(8192)
      return { files: { file: bytes }, content: new Uint8Array(4096) }
    }
    const instance: Instance = { limits: limits(), size: () => 4096, read: async (_offset, into) => void into.fill(0), close: async () => {} }
    const fixture: FormatFixture = {
      driver: { ...driver, open: async () => instance },
      facets: facets.filter((facet) => !([...INSTANCE_FACETS, ...MEMBER_FACETS] as readonly string[]).includes(facet) && facet !== 'creation' && facet !== 'measure'),
      sample,
    }
    const testCase = formatCases().find(({ name }) => name.startsWith('write: random'))!
    await expect(runCase(testCase, fixture)).rejects.toThrow(/must refuse to open for writing/)
  })
})

describe('failures', () => {
  it('name the seed', async () => {
    const testCase = formatCases({ seed: 42 }).find(({ name }) => name === probing)!
    await expect(runCase(testCase, brokenProbe())).rejects.toThrow(/\[seed 42\]/)
  })

  it('name the request that hangs', async () => {
    const hanging = toyFixture({ instance: () => ({ read: () => new Promise(() => {}) }) })
    const testCase = formatCases({ watchdog: (work, what) => Promise.race([work, new Promise<never>((_, reject) => setTimeout(() => reject(new Error(`${what} hangs`)), 100))]) })
      .find(({ name }) => name.startsWith('read: fills'))!
    await expect(runCase(testCase, hanging)).rejects.toThrow(/read\(0, \d+\) hangs/)
  })
})
