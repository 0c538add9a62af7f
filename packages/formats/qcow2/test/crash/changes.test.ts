import { describeScenarios } from './points.ts'
import { suites } from './scenarios.ts'

describeScenarios('changes of the image as a whole', suites.changes)
