import { oracleAvailable } from '@blockloom/oracle'
import { describe, test } from 'vitest'
import { BASE_SEED } from './sequences.ts'
import { runContests } from './writers.ts'

const EACH = 8

describe.runIf(oracleAvailable())('16 writers at once, neighbouring bytes of one cluster', () => {
  for (let i = 0; i < 6; i++) {
    const first = BASE_SEED + 2000 + i * EACH
    test(`by us, read by the reference, seeds from ${first} on`, () => runContests('us', first, EACH))
  }
  for (let i = 0; i < 3; i++) {
    const first = BASE_SEED + 2000 + i * EACH
    test(`by the reference, read by us, seeds from ${first} on`, () => runContests('reference', first, EACH))
  }

  const fresh = Math.floor(Math.random() * 0x7fff0000)
  test(`by us, seeds nobody has seen before, from ${fresh} on`, () => runContests('us', fresh, EACH))
})
