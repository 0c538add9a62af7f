import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { measurePair, report } from '@blockloom/bench'
import { writeSampleDisk } from '../src/sample-disk.ts'
import { parseProcessorTime } from '../src/steal.ts'

const node = process.execPath

test('runs both, each first in turn, takes medians, and judges the ratio', async () => {
  const rounds: string[] = []
  const wait = (ms: number) => [node, '-e', `setTimeout(() => {}, ${ms})`]
  const fast = await measurePair({ name: 'w', kind: 'time', limit: 0.9, args: () => [], prepare: () => rounds.push('p'), verify: () => rounds.push('v') }, wait(1), wait(400), { rounds: 3 })
  // First a run for our memory. Only ours is verified.
  expect(rounds.join('')).toBe('p' + 'pvp' + 'ppv' + 'pvp')
  expect(fast).toMatchObject({ name: 'w', ok: true })
  expect(fast.ratio).toBeLessThan(0.9)
  const slow = await measurePair({ name: 'r', kind: 'rate', limit: 1.5, args: () => [] }, rate('2.0'), rate('1.0'), { rounds: 1 })
  expect(slow).toMatchObject({ ours: 500, theirs: 1000, ratio: 0.5, ok: false })
  expect(report([fast, slow], { reference: 'qemu-img 7.2', rounds: 3 })).toContain('| r | 500/s | 1,000/s | 0.50 | ≥ 1.5 | **no** |')
})

const rate = (seconds: string) => [node, '-e', `console.log('Sending 1000 read requests\\nRun completed in ${seconds} seconds.')`]

test('of more runs those count during which the host took the least away; it waits for them, but not for ever', async () => {
  let looks = 0
  // Twice for each run: the time of all processors, and how much of it was taken away so far.
  const taken = (parts: readonly number[]) => () => {
    const runs = Math.ceil(looks++ / 2)
    return { all: runs * 100, stolen: parts.slice(0, runs).reduce((sum, part) => sum + part, 0) }
  }
  const work = { name: 'r', kind: 'rate', limit: 1, args: () => [] } as const
  // The memory run; then, in turn, ours and theirs, theirs and ours.
  const patient = await measurePair(work, rate('1.0'), rate('1.0'), { rounds: 1, patience: 60, look: taken([0, 40, 0, 50, 1]) })
  expect(looks).toBe(10)
  expect(patient.stolen).toEqual({ ours: 0.01, theirs: 0 })
  expect(report([patient], { reference: 'qemu-img 7.2', rounds: 1 })).toContain('| 1 %, 0 % |')
  looks = 0
  const hasty = await measurePair(work, rate('1.0'), rate('1.0'), { rounds: 2, look: taken([0, 40, 30, 20, 10]) })
  expect(looks).toBe(10)
  expect(hasty.stolen).toEqual({ ours: 0.25, theirs: 0.25 })
})

test('what the host took away is the eighth figure of the first line', () => {
  const stat = 'cpu  3357 0 4313 1362393 16 2 90 1175 500 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n'
  expect(parseProcessorTime(stat)).toEqual({ all: 3357 + 4313 + 1362393 + 16 + 2 + 90 + 1175, stolen: 1175 })
  expect(parseProcessorTime('')).toEqual({ all: 0, stolen: 0 })
})

test('a program that fails ends the benchmark with what it printed', async () => {
  await expect(measurePair({ name: 'w', kind: 'time', limit: 1, args: () => [] }, [node, '-e', 'console.error("broken"); process.exit(3)'], [node, '-e', ''], { rounds: 1 })).rejects.toThrow(/ended with 3\nbroken/)
})

test('the sample disk is the same every time, and about a quarter of it is holes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'bench-'))
  try {
    writeSampleDisk(join(folder, 'a'), 32 << 20)
    writeSampleDisk(join(folder, 'b'), 32 << 20)
    const a = readFileSync(join(folder, 'a'))
    expect(a.equals(readFileSync(join(folder, 'b')))).toBe(true)
    let zero = 0
    for (let at = 0; at < a.length; at += 65536) if (a.subarray(at, at + 65536).every((byte) => byte === 0)) zero++
    expect(zero / (a.length / 65536)).toBeGreaterThan(0.1)
    expect(zero / (a.length / 65536)).toBeLessThan(0.45)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
