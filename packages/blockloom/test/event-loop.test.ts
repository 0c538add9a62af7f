import { createGraph, type BlockNode } from '@blockloom/block-core'
import { nullCo } from '@blockloom/protocol-null'
import { compareImages, copyImage } from 'blockloom'
import { expect, test } from 'vitest'

/** Far more than can be worked on until the test's time is over; every request is done at once. */
const SIZE = 64 * 1024 ** 4

async function endless(): Promise<BlockNode> {
  const graph = createGraph({ drivers: [nullCo] })
  return graph.openSpec({ driver: 'null-co', size: SIZE })
}

test('copying images in memory lets timers and signals through', async () => {
  const copying = copyImage({ sources: [await endless()], target: await endless(), sparse: 0, signal: AbortSignal.timeout(50) })
  await expect(copying).rejects.toMatchObject({ name: 'TimeoutError' })
})

test('so does comparing them', async () => {
  const comparing = compareImages(await endless(), await endless(), { signal: AbortSignal.timeout(50) })
  await expect(comparing).rejects.toMatchObject({ name: 'TimeoutError' })
})
