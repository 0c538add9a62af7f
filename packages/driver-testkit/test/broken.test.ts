import { describe, expect, it } from 'vitest'
import { formatCases, realWatchdog, runCase } from '@blockloom/driver-testkit'
import { brokenErrors, brokenFlushes, brokenHeaders } from './broken/durability.ts'
import { brokenLifecycles } from './broken/lifecycle.ts'
import { brokenAmends, brokenEmptyings, brokenExtents, brokenResizes, brokenZeroes } from './broken/metadata.ts'
import { brokenReads } from './broken/reading.ts'
import { brokenTables } from './broken/tables.ts'
import { brokenWrites } from './broken/writing.ts'
import { TOY_FACETS, toyFixture } from './toy/toy-driver.ts'

const all = [
  ...brokenReads, ...brokenWrites, ...brokenFlushes, ...brokenHeaders, ...brokenErrors, ...brokenExtents, ...brokenZeroes, ...brokenResizes, ...brokenEmptyings, ...brokenAmends, ...brokenLifecycles, ...brokenTables,
]
// One that hangs need not hang for long.
const cases = new Map(formatCases({ watchdog: realWatchdog(250) }).map((one) => [one.name, one]))

describe('a driver with a planted fault is caught', () => {
  it.each(all)('$fault', async ({ caughtBy, changes, facets }) => {
    for (const name of caughtBy) {
      const testCase = cases.get(name)
      expect(testCase, `there is no case '${name}'`).toBeDefined()
      const error: unknown = await runCase(testCase!, { ...toyFixture(changes), facets: facets ?? TOY_FACETS }).then(() => undefined, (reason: unknown) => reason)
      expect(error, `'${name}' passes`).toMatchObject({ name: 'ConformanceFailure' })
    }
  })
})
