import { oracleAvailable } from '@blockloom/oracle'
import { describe, test } from 'vitest'
import { BASE_SEED, runSequences } from './sequences.ts'

const TESTS = 40
const EACH = 10

describe.runIf(oracleAvailable())('what the reference creates and writes, we read', () => {
  for (let i = 0; i < TESTS; i++) {
    const first = BASE_SEED + i * EACH
    test(`sequences of the seeds from ${first} on`, () => runSequences('reference', first, EACH))
  }

  const fresh = Math.floor(Math.random() * 0x7fff0000)
  test(`sequences nobody has seen before, seeds from ${fresh} on`, () => runSequences('reference', fresh, EACH))
})
