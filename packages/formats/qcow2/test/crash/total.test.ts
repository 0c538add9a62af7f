import { expect, it } from 'vitest'
import { suites } from './scenarios.ts'
import { STACK_POINTS, stackScenarios } from './stack-scenarios.ts'

it('the power goes at more than 5,000 moments in all', () => {
  const stack = STACK_POINTS * Object.keys(stackScenarios).length
  const others = Object.values(suites).flatMap(({ points, scenarios }) => scenarios.map((scenario) => scenario.points ?? points))
  const total = others.reduce((sum, points) => sum + points, stack)
  console.log(`crash points: ${total}`)
  expect(total).toBeGreaterThanOrEqual(5000)
})
