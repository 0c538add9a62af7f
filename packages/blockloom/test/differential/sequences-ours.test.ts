import { oracleAvailable } from '@blockloom/oracle'
import { describe, test } from 'vitest'
import { BASE_SEED, runSequences } from './sequences.ts'

const TESTS = 40
const EACH = 10

describe.runIf(oracleAvailable())('what we create and write, the reference reads and finds clean', () => {
  for (let i = 0; i < TESTS; i++) {
    const first = BASE_SEED + i * EACH
    test(`sequences of the seeds from ${first} on`, () => runSequences('us', first, EACH))
  }

  const fresh = Math.floor(Math.random() * 0x7fff0000)
  test(`sequences nobody has seen before, seeds from ${fresh} on`, () => runSequences('us', fresh, EACH))
})
