import { describeScenarios } from './points.ts'
import { suites } from './scenarios.ts'

describeScenarios('guests', suites.guests)
