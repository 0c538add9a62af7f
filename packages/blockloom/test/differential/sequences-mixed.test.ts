import { oracleAvailable } from '@blockloom/oracle'
import { describe, test } from 'vitest'
import { BASE_SEED, runSequences } from './sequences.ts'

const TESTS = 8
const EACH = 10

describe.runIf(oracleAvailable())('images that we and the reference write in turn', () => {
  for (let i = 0; i < TESTS; i++) {
    const first = BASE_SEED + 1000 + i * EACH
    test(`sequences of the seeds from ${first} on`, () => runSequences('mixed', first, EACH))
  }
})
