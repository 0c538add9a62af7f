import { writeFileSync } from 'node:fs'
import { isBlockError } from '@blockloom/block-driver'
import { afterAll, describe, expect, it } from 'vitest'
import { corruptBadly } from '../harness/corrupt.ts'
import { MemoryChild } from '../harness/memory-child.ts'
import { Random } from '../harness/random.ts'
import { makeRecipe, RECIPES } from '../harness/recipes.ts'
import { haveReference, Reference } from '../harness/reference.ts'
import { guestView, lost } from './guest-view.ts'
import { ourRepair, referenceRepair, type Outcome } from './reference-repair.ts'

// Images with 1 to 20 random metadata corruptions each. What the reference can repair we repair with the same counts,
// exit code and result. Better is:
//
// - an image that the reference gives up on, or leaves with corruptions, is clean afterwards
// - guest data that it would drop is still there (lost() finds none)
// - the file does not grow to where a refcount block beyond its end would be; the block that it would put there is not
//   counted as one more corruption
// - entries that it reports but does not repair, and that are gone when it looks again, count as repaired

/** Of each recipe; 504 images in all. */
const IMAGES = Number(process.env['BLOCKLOOM_ROUNDS'] ?? 42)
const START = Number(process.env['BLOCKLOOM_SEED'] ?? 1)

/** Data files have no clusters in the image file: test/repair/repair.test.ts has those. An image of nothing has no tables. */
const recipes = RECIPES.filter(([name]) => name !== 'nothing' && !name.includes('data file')).map((recipe) => (recipe[0] === 'bitmaps' ? ([recipe[0], '24M', ...recipe.slice(2)] as unknown as typeof recipe) : recipe))

describe.skipIf(!haveReference)('repair of broken images', () => {
  const reference = haveReference ? new Reference() : null
  afterAll(() => reference?.[Symbol.dispose]())

  it.each(recipes)('%s: -r all', { timeout: 120_000 }, async (...recipe) => {
    const image = makeRecipe(reference!, recipe as (typeof recipes)[number])
    const whole = (await guestView(new MemoryChild({ content: image })))!
    let repairedByBoth = 0
    for (let round = 0; round < IMAGES; round++) {
      const seed = START * 1_000_003 + recipe[0].length * 1009 + round
      const random = new Random(seed)
      const times = 1 + random.below(round % 2 === 0 ? 4 : 20)
      const file = corruptBadly(image, random, times)
      const where = `seed ${seed}, ${times} corruptions`
      const broken = new MemoryChild({ content: file.content })
      writeFileSync(reference!.path('theirs'), file.content)
      const theirs = referenceRepair(reference!, 'theirs', 'errors')
      const ours = await ourRepair(file, 'errors').catch((error: unknown) => error)
      if (isBlockError(ours)) {
        // The damaged tables wrote over the header, or what is at a place where nobody would look for it.
        expect(theirs.exit, `${where}: ${ours.message}`).not.toBe(0)
        continue
      }
      if (ours instanceof Error) throw new Error(where, { cause: ours })
      const repaired = ours as Outcome
      expect({ exit: repaired.exit, lines: repaired.exit === 0 ? [] : repaired.lines }, where).toEqual({ exit: 0, lines: [] })
      writeFileSync(reference!.path('ours'), file.content)
      const again = referenceRepair(reference!, 'ours', 'none')
      expect({ exit: again.exit, lines: again.lines }, `${where}: the reference checks what we repaired`).toEqual({ exit: 0, lines: [] })
      const loss = lost(whole, await guestView(broken), await guestView(file))
      if (loss !== null) expect.fail(`${where}: lost ${loss}`)
      if (theirs.exit !== 0 || isBetter(theirs, repaired)) continue
      repairedByBoth++
      const { imageEndOffset: _theirs, ...wanted } = theirs.result!
      const { imageEndOffset: _ours, ...got } = repaired.result!
      expect(got, `${where}\n${theirs.lines.slice(0, 30).join('\n')}\n-- ours\n${repaired.lines.slice(0, 30).join('\n')}`).toEqual(wanted)
      expect(unique(repaired.lines), where).toEqual(unique(theirs.lines))
    }
    expect(repairedByBoth).toBeGreaterThan(0)
  })

  it.each(recipes)('%s: -r leaks', { timeout: 120_000 }, async (...recipe) => {
    const image = makeRecipe(reference!, recipe as (typeof recipes)[number])
    for (let round = 0; round < IMAGES / 6; round++) {
      const seed = START * 1_000_003 + recipe[0].length * 2003 + round
      const random = new Random(seed)
      const file = corruptBadly(image, random, 1 + random.below(3))
      writeFileSync(reference!.path('theirs'), file.content)
      const theirs = referenceRepair(reference!, 'theirs', 'leaks')
      const ours = await ourRepair(file, 'leaks').catch((error: unknown) => error)
      if (isBlockError(ours)) {
        expect(theirs.exit, `seed ${seed}: ${ours.message}`).not.toBe(0)
        continue
      }
      if (ours instanceof Error) throw new Error(`seed ${seed}`, { cause: ours })
      const { exit, result, lines } = ours as Outcome
      if (theirs.result === null) {
        expect(exit, `seed ${seed}`).toBe(1)
        continue
      }
      expect({ exit, result }, `seed ${seed}\n${theirs.lines.slice(0, 30).join('\n')}\n-- ours\n${lines.slice(0, 30).join('\n')}`).toEqual({ exit: theirs.exit, result: theirs.result })
      expect(unique(lines), `seed ${seed}`).toEqual(unique(theirs.lines))
    }
  })
})

/** The same problem of a table that several snapshots share is told once by us. */
const unique = (lines: readonly string[]): string[] => [...new Set(lines)].sort()

/** We did more than the reference, although it ended with a clean image too: see above. */
function isBetter(theirs: Outcome, ours: Outcome): boolean {
  if (theirs.lines.some((line) => line.includes('outside image'))) return true
  const reported = new Set(theirs.lines.map((line) => line.replace(/^ERROR(?: found)?/, 'Repairing')))
  return ours.lines.some((line) => line.startsWith('Repairing') && !theirs.lines.includes(line) && (reported.has(line) || !line.startsWith('Repairing cluster')))
}
