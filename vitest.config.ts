import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Suites of minutes: what begins last should not be what one worker does alone at the end. */
const LONG = /\/test\/(differential|mutation|faults|crash|hostile|repair)\//

class LongOnesFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    const isLong = ({ moduleId }: TestSpecification): boolean => LONG.test(moduleId)
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))]
  }
}

// One run for all packages; each package's own config says what its tests are.
export default defineConfig({
  test: {
    projects: ['packages/*/vitest.config.ts', 'packages/*/*/vitest.config.ts', 'tools/*/vitest.config.ts'],
    maxWorkers: 2,
    sequence: { sequencer: LongOnesFirst },
    allowOnly: false,
    passWithNoTests: false,
  },
})
