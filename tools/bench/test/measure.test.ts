import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { measurePair, report } from '@blockloom/bench'
import { writeSampleDisk } from '../src/sample-disk.ts'

const node = process.execPath

test('runs both, each first in turn, takes medians, and judges the ratio', async () => {
  const rounds: string[] = []
  const wait = (ms: number) => [node, '-e', `setTimeout(() => {}, ${ms})`]
  const fast = await measurePair({ name: 'w', kind: 'time', limit: 0.9, args: () => [], prepare: () => rounds.push('p'), verify: () => rounds.push('v') }, wait(1), wait(400), 3)
  // First a run for our memory. Only ours is verified.
  expect(rounds.join('')).toBe('p' + 'pvp' + 'ppv' + 'pvp')
  expect(fast).toMatchObject({ name: 'w', ok: true })
  expect(fast.ratio).toBeLessThan(0.9)
  const rate = (seconds: string) => [node, '-e', `console.log('Sending 1000 read requests\\nRun completed in ${seconds} seconds.')`]
  const slow = await measurePair({ name: 'r', kind: 'rate', limit: 1.5, args: () => [] }, rate('2.0'), rate('1.0'), 1)
  expect(slow).toMatchObject({ ours: 500, theirs: 1000, ratio: 0.5, ok: false })
  expect(report([fast, slow], { reference: 'qemu-img 7.2', rounds: 3 })).toContain('| r | 500/s | 1,000/s | 0.50 | ≥ 1.5 | **no** |')
})

test('a program that fails ends the benchmark with what it printed', async () => {
  await expect(measurePair({ name: 'w', kind: 'time', limit: 1, args: () => [] }, [node, '-e', 'console.error("broken"); process.exit(3)'], [node, '-e', ''], 1)).rejects.toThrow(/ended with 3\nbroken/)
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
