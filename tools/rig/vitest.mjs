import { defineConfig } from 'vitest/config'

/** The vitest preset of every package: tests live in test/, run on sources, and never touch the network. */
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Of each project: what the root says is not handed down, and the default on two processors is one.
    maxWorkers: 2,
  },
})
