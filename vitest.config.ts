import { defineConfig } from 'vitest/config'
import type { Reporter } from 'vitest/node'

/** Names the tests that passed at a second try only: a busy machine, or a defect that hides. */
const secondTries: Reporter = {
  onTestCaseResult: (test) => {
    if (test.diagnostic()?.flaky === true) {
      console.log(`second try: ${test.module.moduleId} > ${test.fullName}`)
    }
  },
}

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    reporters: ['default', secondTries],
    pool: 'forks',
    maxWorkers: 2,
  },
})
