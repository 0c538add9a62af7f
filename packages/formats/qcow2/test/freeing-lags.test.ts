import type { Instance } from '@blockloom/block-driver'
import { setImmediate } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { createInMemory } from './harness/create.ts'
import { openQcow2, readAll } from './harness/open.ts'

const CLUSTER = 64 * 1024

/** Fills some clusters and drops them, stable. */
async function fillAndDrop(image: Instance, value: number): Promise<void> {
  await image.writer!.write(0, new Uint8Array(4 * CLUSTER).fill(value), 0)
  await image.discard!(0, 4 * CLUSTER)
  await image.writer!.flush('stable')
}

it.each(['a write', 'a compressed write'] as const)('%s waits while the file is slow to discard what was dropped: it would grow for ever', async (what) => {
  const file = await createInMemory({ size: 16 * CLUSTER })
  const image = await openQcow2({ file })
  const gate = Promise.withResolvers<void>()
  file.before = (op) => (op === 'discard' ? gate.promise : undefined)
  await fillAndDrop(image, 1)
  // What one flush made free need not be waited for.
  await fillAndDrop(image, 2)
  const size = file.content.length
  const content = new Uint8Array(CLUSTER).fill(3)
  let isDone = false
  const writing = (what === 'a write' ? image.writer!.write(0, content, 0) : image.compress!.write(0, content)).then(() => (isDone = true))
  for (let turn = 0; turn < 20; turn++) await setImmediate()
  expect(isDone).toBe(false)
  // Nobody else has to wait.
  expect(await image.zero!(8 * CLUSTER, CLUSTER, 0)).toBe('done')
  await image.writer!.flush('stable')
  await image.read(0, new Uint8Array(CLUSTER), 0)
  gate.resolve()
  await writing
  await image.writer!.flush('stable')
  expect(file.content.length).toBe(size)
  expect((await readAll(image)).subarray(0, CLUSTER)).toEqual(content)
  await image.close()
})
