import * as fs from 'node:fs'
import { expect, onTestFinished, test } from 'vitest'
import { BufferedIo } from '../src/io/buffered.ts'
import { LongRow } from '../src/io/long-row.ts'
import { loadLibc } from '../src/native/libc.ts'
import { noticeTurn, TurnBudget } from '../src/io/turn-budget.ts'
import { clock, pattern, scratchFile } from './scratch.ts'

const KIB = 1024
const MIB = 1024 * KIB
const PART = 64 * KIB
const libc = await loadLibc()

/** Turns of the event loop that go by until `work` ends. */
async function turnsOf(work: Promise<unknown>): Promise<number> {
  let ended = false
  void work.finally(() => (ended = true))
  let turns = 0
  for (; !ended; turns++) await new Promise((resolve) => setImmediate(resolve))
  return turns
}

test.each(['read', 'write'] as const)('thousands of requests at a time let others have a turn: %s', async (what) => {
  const fd = fs.openSync(scratchFile(pattern(64 * MIB)), 'r+')
  onTestFinished(() => fs.closeSync(fd))
  const io = new BufferedIo(fd, libc, clock)
  const parts = Array.from({ length: 1024 }, (_, i) => io[what](i * PART, new Uint8Array(PART)))
  // About 4 MiB each.
  expect(await turnsOf(Promise.all(parts))).toBeGreaterThanOrEqual(12)
})

test('what was told to be forgotten for long is not remembered because of a request elsewhere', () => {
  const row = new LongRow(true)
  row.forget(64 * MIB)
  expect(row.continues(500 * MIB, MIB)).toBe(false)
  const again = Array.from({ length: 80 }, (_, i) => row.continues((1 + i) * MIB, MIB))
  expect(again.indexOf(true)).toBe(63)
})

test('a request after a turn that somebody noticed does not wait for another', () => {
  const spent = new TurnBudget()
  while (spent.spend(MIB));
  expect(spent.spend(1)).toBe(false)
  noticeTurn()
  expect(spent.spend(1)).toBe(true)
})

test('a turn fills the budgets of those that did not wait for it', async () => {
  const [waiting, other] = [new TurnBudget(), new TurnBudget()]
  for (const budget of [waiting, other]) while (budget.spend(MIB));
  await waiting.turn()
  expect(other.spend(1)).toBe(true)
})
