import { afterAll, describe, expect, it } from 'vitest'
import { corruptBadly } from '../harness/corrupt.ts'
import { MemoryChild } from '../harness/memory-child.ts'
import { Random } from '../harness/random.ts'
import { makeRecipe, RECIPES, type Recipe } from '../harness/recipes.ts'
import { haveReference, Reference } from '../harness/reference.ts'
import { guestView, lost } from './guest-view.ts'
import { ourRepair, referenceChecks, type Outcome } from './reference-repair.ts'

// Images with 1 to 20 random metadata corruptions each. What the reference can repair we repair with the same counts,
// exit code and result. Better is:
//
// - an image that the reference gives up on, or leaves with corruptions, is clean afterwards
// - guest data that it would drop is still there (lost() finds none)
// - the file does not grow to where a refcount block beyond its end would be; the block that it would put there is not
//   counted as one more corruption
// - entries that it reports but does not repair, and that are gone when it looks again, count as repaired

/** Of each recipe; 502 images in all. */
const IMAGES = Number(process.env['BLOCKLOOM_ROUNDS'] ?? 49)
/** Of one whose clusters are large. */
const LARGE_IMAGES = Math.ceil(IMAGES / 4)
const LEAKS = Math.ceil(IMAGES / 5)
const START = Number(process.env['BLOCKLOOM_SEED'] ?? 1)

/** Data files: repair.test.ts. An image of nothing has no tables. */
const recipes: readonly Recipe[] = RECIPES.filter(([name]) => name !== 'nothing' && !name.includes('data file')).map((recipe) =>
  recipe[0] === 'bitmaps' ? [recipe[0], '24M', recipe[2], recipe[3], recipe[4]!] : recipe,
)

/** Exit code of timeout(1). */
const TIMED_OUT = 124

interface Broken {
  readonly where: string
  readonly content: Uint8Array
}

/** Seeds that found something once, and how many corruptions they make at most. */
type Found = Readonly<Record<string, readonly (readonly [seed: number, most: number])[]>>

const FOUND_ALL: Found = {
  // An entry that is mended in the table of several snapshots counts once.
  'extended L2 entries': [[1053319954956477, 4]],
}
const FOUND_LEAKS: Found = {
  // The L1 table of a snapshot is at an offset that no file has: what it led to is not leaked.
  'wide refcounts': [[1966348819523858, 3]],
  // An incomplete entry of the snapshot table does not keep COPIED flags from being repaired.
  'two-bit refcounts': [[1554006367, 3]],
}

function breakImage(image: Uint8Array, count: number, firstSeed: number, most: (round: number) => number, found: Found[string] = []): Broken[] {
  const seeds = [...Array.from({ length: count }, (_, round) => [firstSeed + round, most(round)] as const), ...found]
  return seeds.map(([seed, most]) => {
    const random = new Random(seed)
    const times = 1 + random.below(most)
    return { where: `seed ${seed}, ${times} corruptions`, content: corruptBadly(image, random, times).content }
  })
}

describe.skipIf(!haveReference)('repair of broken images', () => {
  const reference = haveReference ? new Reference() : null
  let compared = 0
  afterAll(() => reference?.[Symbol.dispose]())

  it.each(recipes.map((recipe, which) => [recipe[0], recipe, which] as const))('%s: -r all', { timeout: 120_000 }, async (_name, recipe, which) => {
    const image = makeRecipe(reference!, recipe)
    const whole = (await guestView(new MemoryChild({ content: image })))!
    const broken = breakImage(image, recipe[0] === 'an odd end' ? LARGE_IMAGES : IMAGES, START * 1_000_003 + which * 1009, (round) => (round % 2 === 0 ? 4 : 20), FOUND_ALL[recipe[0]])
    const theirs = referenceChecks(reference!, broken.map(({ content }) => content), 'errors')
    const repaired: { readonly where: string; readonly content: Uint8Array }[] = []
    for (const [i, { where, content }] of broken.entries()) {
      const file = new MemoryChild({ content })
      const ours = await ourRepair(file, 'errors').catch((error: unknown) => {
        throw new Error(where, { cause: error })
      })
      const wanted = theirs[i]!
      if (ours === null) {
        // A table that lies over the header was damaged.
        expect(wanted.result, `${where}: does not open`).toBe(null)
        continue
      }
      expect({ exit: ours.exit, lines: ours.exit === 0 ? [] : ours.lines }, where).toEqual({ exit: 0, lines: [] })
      repaired.push({ where, content: file.content })
      const loss = lost(whole, await guestView(new MemoryChild({ content })), await guestView(file))
      if (loss !== null) expect.fail(`${where}: lost ${loss}`)
      if (wanted.exit !== 0 || isBetter(wanted, ours)) continue
      compared++
      const both = `${where}\n${wanted.lines.slice(0, 30).join('\n')}\n-- ours\n${ours.lines.slice(0, 30).join('\n')}`
      expect(withoutEnd(ours), both).toEqual(withoutEnd(wanted))
      expect(unique(ours.lines), both).toEqual(unique(wanted.lines))
    }
    const again = referenceChecks(reference!, repaired.map(({ content }) => content), 'none')
    for (const [i, { exit, lines }] of again.entries()) {
      expect({ exit, lines }, `${repaired[i]!.where}: the reference checks what we repaired`).toEqual({ exit: 0, lines: [] })
    }
  })

  it('the same, where the reference can repair too', () => expect(compared).toBeGreaterThan(recipes.length * 2))

  it.each(recipes.map((recipe, which) => [recipe[0], recipe, which] as const))('%s: -r leaks', { timeout: 120_000 }, async (_name, recipe, which) => {
    const image = makeRecipe(reference!, recipe)
    const broken = breakImage(image, LEAKS, START * 2_000_003 + which * 1009, () => 3, FOUND_LEAKS[recipe[0]])
    const whole = (await guestView(new MemoryChild({ content: image })))!
    const theirs = referenceChecks(reference!, broken.map(({ content }) => content), 'leaks')
    for (const [i, { where, content }] of broken.entries()) {
      const file = new MemoryChild({ content })
      const ours = await ourRepair(file, 'leaks')
      const { exit, result, lines } = theirs[i]!
      if (ours?.result != null && result === null && (lines.length === 0 || exit === TIMED_OUT)) {
        // It does not open the image at all, for a bitmap's sake; or it gave up.
        const loss = lost(whole, await guestView(new MemoryChild({ content })), await guestView(file))
        if (loss !== null) expect.fail(`${where}: lost ${loss}`)
        continue
      }
      if (ours === null || result === null) {
        expect([ours?.exit ?? 1, result], where).toEqual([1, null])
        continue
      }
      const both = `${where}\n${lines.slice(0, 30).join('\n')}\n-- ours\n${ours.lines.slice(0, 30).join('\n')}`
      expect({ exit: ours.exit, result: ours.result }, both).toEqual({ exit, result })
      expect(unique(ours.lines), both).toEqual(unique(lines))
    }
  })
})

/** The same problem of a table that several snapshots share is told once by us. */
const unique = (lines: readonly string[]): string[] => [...new Set(lines)].sort()

/** New structures need not be in the same places. */
function withoutEnd({ result }: Outcome): object {
  const { imageEndOffset: _end, ...counts } = result!
  return counts
}

/** We did more than the reference, although it ended with a clean image too: see above. */
function isBetter(theirs: Outcome, ours: Outcome): boolean {
  if (theirs.lines.some((line) => line.includes('outside image'))) return true
  const reported = new Set(theirs.lines.map((line) => line.replace(/^ERROR(?: found)?/, 'Repairing')))
  return ours.lines.some((line) => line.startsWith('Repairing') && !theirs.lines.includes(line) && (reported.has(line) || !line.startsWith('Repairing cluster')))
}
