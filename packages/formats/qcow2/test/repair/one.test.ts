import { expect, it } from 'vitest'
import { corruptBadly } from '../harness/corrupt.ts'
import { MemoryChild } from '../harness/memory-child.ts'
import { Random } from '../harness/random.ts'
import { makeRecipe, RECIPES } from '../harness/recipes.ts'
import { Reference } from '../harness/reference.ts'
import { ourRepair, referenceChecks } from './reference-repair.ts'
it('one', async () => {
  const reference = new Reference()
  const recipe = RECIPES.find(([n]) => n === 'extended L2 entries')!
  const image = makeRecipe(reference, recipe)
  const random = new Random(1053319954956477)
  const times = 1 + random.below(4)
  const { content, done } = corruptBadly(image, random, times) as any
  console.log(times, done)
  const theirs = referenceChecks(reference, [content], 'errors')
  const ours = await ourRepair(new MemoryChild({ content }), 'errors')
  console.log(JSON.stringify(theirs, null, 1), JSON.stringify(ours, null, 1))
  const none = referenceChecks(reference, [content], 'none')
  console.log(JSON.stringify(none, null, 1), JSON.stringify(await ourRepair(new MemoryChild({ content }), 'none' as any), null, 1))
})
