import { describeScenarios } from './points.ts'
import { suites } from './scenarios.ts'

describeScenarios('amending, emptying, bitmaps, encryption', suites.features)
