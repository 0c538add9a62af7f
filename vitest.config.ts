import { defineConfig } from 'vitest/config'

// One process for all packages; each package's own config says what its tests are.
export default defineConfig({
  test: {
    projects: ['packages/*/vitest.config.ts', 'packages/*/*/vitest.config.ts', 'tools/*/vitest.config.ts'],
    maxWorkers: 2,
    allowOnly: false,
    passWithNoTests: false,
  },
})
