import { afterAll, describe, expect, it } from 'vitest'
import { PowerLoss } from './power-loss.ts'
import type { Scenario } from './scenario.ts'

/** The reference looks at one in so many crashed images. */
const REFERENCE_EVERY = 40

const BASE_SEED = Number(process.env['CRASH_SEED'] ?? 1)

/** Registers a test for each scenario: the power goes at `points` moments. */
export function describeScenarios(what: string, { scenarios, points }: { readonly scenarios: readonly Scenario[]; readonly points: number }): void {
  let done = 0
  describe(`the power goes: ${what}`, () => {
    afterAll(() => console.log(`${what}: the power went ${done} times, seeds from ${BASE_SEED * 1000} on`))

    it.each(scenarios.map((scenario, index) => [scenario.title, scenario, BASE_SEED * 1000 + index] as const))('%s', { timeout: 300_000 }, async (_, scenario, seed) => {
      using disk = new PowerLoss(scenario, seed)
      await disk.run()
      const count = scenario.points ?? points
      for (let point = 0; point < count; point++) {
        await disk.cut(point % REFERENCE_EVERY === 0).catch((error: unknown) => {
          throw new Error(`CRASH_SEED=${BASE_SEED}, point ${point}: ${String(error)}`, { cause: error })
        })
        done++
      }
      expect(done).toBeGreaterThanOrEqual(count)
    })
  })
}
