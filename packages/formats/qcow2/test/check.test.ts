import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import type { CheckResult } from '@blockloom/block-driver'
import { isBlockError } from '@blockloom/block-driver'
import { afterAll, describe, expect, it } from 'vitest'
import { checkImage } from '../src/check/check.ts'
import { decodeHeaderArea } from '../src/on-disk/header-area.ts'
import { createInMemory } from './harness/create.ts'
import { corrupt } from './harness/corrupt.ts'
import { MemoryChild } from './harness/memory-child.ts'
import { openQcow2 } from './harness/open.ts'
import { Random } from './harness/random.ts'
import { makeRecipe as make, RECIPES, type Recipe } from './harness/recipes.ts'
import { haveReference, Reference } from './harness/reference.ts'

interface Checked {
  readonly result: CheckResult
  readonly lines: readonly string[]
}

async function check(file: MemoryChild, memory?: number): Promise<Checked> {
  const lines: string[] = []
  const area = decodeHeaderArea(file.content, { purpose: 'check' })
  const source = { file, area, geometry: area.geometry }
  const result = await checkImage(source, { report: (line) => lines.push(...line.split('\n')) }, memory)
  return { result, lines }
}

/** What the reference says of the same image; null if it cannot check it. */
function referenceCheck(reference: Reference, name: string): Checked | null {
  const { stdout, stderr } = spawnSync('qemu-img', ['check', '-f', 'qcow2', '--output=json', name], { encoding: 'utf8', maxBuffer: 1 << 28, cwd: reference.folder })
  if (!stdout.startsWith('{')) return null
  const json = JSON.parse(stdout) as Record<string, number>
  const count = (name: string): number => json[name] ?? 0
  return {
    result: {
      corruptions: count('corruptions'),
      leaks: count('leaks'),
      checkErrors: count('check-errors'),
      corruptionsFixed: 0,
      leaksFixed: 0,
      imageEndOffset: count('image-end-offset'),
      totalClusters: count('total-clusters'),
      allocatedClusters: count('allocated-clusters'),
      fragmentedClusters: count('fragmented-clusters'),
      compressedClusters: count('compressed-clusters'),
    },
    lines: stderr.split('\n').filter((line) => line !== '' && !line.startsWith('qemu-img:') && !line.startsWith('qcow2: Image is corrupt')),
  }
}

const unique = (lines: readonly string[]): string[] => [...new Set(lines)].sort()

describe.skipIf(!haveReference)('check against the reference', () => {
  const reference = haveReference ? new Reference() : null
  afterAll(() => reference?.[Symbol.dispose]())

  it.each(RECIPES)('finds nothing wrong with %s', async (...recipe) => {
    const image = make(reference!, recipe as unknown as Recipe)
    const theirs = referenceCheck(reference!, 'i')!
    expect(theirs.lines).toEqual([])
    expect(await check(new MemoryChild({ content: image }))).toEqual(theirs)
  })

  it('finds the same in broken images', { timeout: 120_000 }, async () => {
    const start = Number(process.env['BLOCKLOOM_SEED'] ?? 1)
    const rounds = Number(process.env['BLOCKLOOM_ROUNDS'] ?? 14)
    let found = 0
    for (const [which, recipe] of RECIPES.entries()) {
      if (recipe[0] === 'nothing') continue
      const image = make(reference!, recipe)
      for (let round = 0; round < rounds; round++) {
        const seed = start * 1_000_003 + which * 1009 + round
        const broken = corrupt(image, new Random(seed))
        writeFileSync(reference!.path('x'), broken.content)
        const theirs = referenceCheck(reference!, 'x')
        const ours = await check(broken).catch((error: unknown) => error)
        const where = `${recipe[0]}, seed ${seed}`
        if (theirs === null) {
          const failed = isBlockError(ours) || (ours as Checked).result.checkErrors > 0
          expect(failed, where).toBe(true)
          continue
        }
        if (ours instanceof Error) throw new Error(where, { cause: ours })
        const { result, lines } = ours as Checked
        expect(result, `${where}\n${theirs.lines.slice(0, 20).join('\n')}\n-- ours\n${lines.slice(0, 20).join('\n')}`).toEqual(theirs.result)
        expect(unique(lines), where).toEqual(unique(theirs.lines))
        if (result.corruptions + result.leaks > 0) found++
      }
    }
    expect(found).toBeGreaterThan(rounds * 5)
  })

  it('finds the same with little memory, in several passes', async () => {
    const recipe = RECIPES[2]!
    const image = make(reference!, [recipe[0], '40M', 'cluster_size=512', ['write 0 12M', 'write 30M 1M']])
    for (let seed = 1; seed <= 5; seed++) {
      const broken = corrupt(image, new Random(seed))
      const whole = await check(broken)
      // Two pages of counters at a time.
      const pieces = await check(broken, 12_000)
      expect(pieces.result, `seed ${seed}`).toEqual(whole.result)
      expect(unique(pieces.lines), `seed ${seed}`).toEqual(unique(whole.lines))
    }
  })

  it('finds stale bitmaps leaked', async () => {
    const content = make(reference!, RECIPES.find(([name]) => name === 'bitmaps')!)
    content[95] = 0
    writeFileSync(reference!.path('x'), content)
    const theirs = referenceCheck(reference!, 'x')!
    expect(theirs.result.leaks).toBeGreaterThan(0)
    expect((await check(new MemoryChild({ content }))).result).toEqual(theirs.result)
  })
})

describe('check', () => {
  it('repairs only what is open for writing', async () => {
    const file = await createInMemory({ size: '1M' })
    const image = await openQcow2({ file, mode: { readOnly: true } })
    expect(image.check!.fixes).toBe(undefined)
    for (const fix of ['leaks', 'errors'] as const) await expect(image.check!.check({ fix })).rejects.toMatchObject({ code: 'unsupported', detail: { option: 'fix' } })
    expect((await openQcow2({ file })).check!.fixes).toEqual(['leaks', 'errors'])
    expect((await openQcow2({ file, mode: { forCheck: true } })).check!.fixes).toEqual(['leaks', 'errors'])
  })

  it('sees what was written a moment ago', async () => {
    const image = await openQcow2({ file: await createInMemory({ size: '1M' }) })
    await image.writer!.write(0, new Uint8Array(100_000).fill(1), 0)
    const result = await image.check!.check({ fix: 'none' })
    expect(result).toMatchObject({ corruptions: 0, leaks: 0, allocatedClusters: 2, totalClusters: 16 })
    await image.close()
  })

  it('can be aborted', async () => {
    const image = await openQcow2({ file: await createInMemory({ size: '1M' }) })
    await expect(image.check!.check({ fix: 'none', signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough')
  })

  it('counts what cannot be read', async () => {
    const file = await createInMemory({ size: '1M', preallocation: 'metadata' })
    const l2 = 4 * 65536
    const { BlockError } = await import('@blockloom/block-driver')
    const content = file.content.slice()
    const failing = new MemoryChild({
      content,
      before: (op, offset) => {
        if (op === 'read' && offset === l2) throw new BlockError('io', 'Input/output error')
      },
    })
    const { result } = await check(failing)
    expect(result.checkErrors).toBe(1)
    expect(result.leaks).toBe(16)
  })

  it('ends on tables that refer to themselves and to everything, soon and in little memory', async () => {
    // Every L1 entry names the same L2 table, whose entries all name the L1 table: 2^38 references.
    const file = await createInMemory({ size: 2 ** 50, cluster_size: '2M', extended_l2: 'off' })
    const view = new DataView(file.content.buffer, file.content.byteOffset)
    const l1 = Number(view.getBigUint64(40))
    const entries = view.getUint32(36)
    const l2 = l1 + (2 << 20)
    await file.zero(l2, 2 << 20)
    const bytes = new DataView(file.content.buffer, file.content.byteOffset)
    for (let i = 0; i < entries; i++) bytes.setBigUint64(l1 + i * 8, 0x8000_0000_0000_0000n + BigInt(l2))
    for (let i = 0; i < 262_144; i++) bytes.setBigUint64(l2 + i * 8, 0x8000_0000_0000_0000n + BigInt(l1))
    const { result } = await check(file)
    expect(result.allocatedClusters).toBe(entries * 262_144)
    expect(result.corruptions).toBeGreaterThan(entries * 262_144 - 65_536)
    // The table is counted as often as it is named, but read once or twice.
    expect(file.reads).toBeLessThan(100)
  })
})
