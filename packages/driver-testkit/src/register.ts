import { runCase, type Case } from './case.ts'
import { failure } from './failure.ts'
import type { Fixture } from './fixture.ts'

/** The two functions of a test runner that the kit needs; those of vitest, node:test, mocha and jest fit. @public */
export interface Runner {
  describe(name: string, body: () => void): unknown
  it(name: string, body: () => Promise<void>): unknown
}

/**
 * Registers one test per case. Each gets a fixture of its own.
 *
 * The name of an excluded case carries the reason. An excluded case runs and must fail; when it passes, the test fails and
 * asks for the exclusion to be removed.
 *
 * @param title - the name of the group; default `conformance`
 * @public
 */
export function register<F extends Fixture>(
  cases: readonly Case<F>[], makeFixture: () => F | Promise<F>, runner: Runner, title = 'conformance',
): void {
  runner.describe(title, () => {
    for (const testCase of cases) {
      const { excluded } = testCase
      if (excluded === undefined) {
        runner.it(testCase.name, async () => runCase(testCase, await makeFixture()))
      } else {
        runner.it(`${testCase.name} (known to fail: ${excluded})`, async () => expectFailure(testCase, await makeFixture()))
      }
    }
  })
}

async function expectFailure<F extends Fixture>(testCase: Case<F>, fixture: F): Promise<void> {
  try {
    await runCase(testCase, fixture)
  } catch {
    return
  }
  throw failure(`'${testCase.name}' passes: remove its exclusion (${testCase.excluded})`)
}
