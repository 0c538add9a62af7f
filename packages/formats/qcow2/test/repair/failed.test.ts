import { BlockError } from '@blockloom/block-driver'
import { expect, it } from 'vitest'
import { createInMemory } from '../harness/create.ts'
import { MemoryChild } from '../harness/memory-child.ts'
import { openQcow2 } from '../harness/open.ts'

const CLUSTER = 64 * 1024

it('an open image whose repair fails half way takes no writes any more; it is repaired when it is opened again for that', async () => {
  const file = await createInMemory({ size: 16 * CLUSTER })
  const made = await openQcow2({ file })
  await made.writer!.write(0, new Uint8Array(CLUSTER).fill(1), 0)
  await made.close()
  const view = new DataView(file.content.buffer, file.content.byteOffset)
  const l2 = Number(view.getBigUint64(Number(view.getBigUint64(40))) & 0x00ff_ffff_ffff_fe00n)
  // A reserved bit.
  view.setUint32(l2, view.getUint32(l2) | 0x0100_0000)

  const image = await openQcow2({ file })
  file.before = (op, offset) => {
    if (op === 'write' && offset >= l2 && offset < l2 + CLUSTER) throw new BlockError('io', 'No', { errno: 'EIO' })
  }
  await expect(image.check!.check({ fix: 'errors' })).rejects.toThrow('No')
  file.before = undefined
  await expect(image.writer!.write(0, new Uint8Array(512), 0)).rejects.toMatchObject({ code: 'corrupt' })
  await image.close().catch(() => undefined)

  const again = await openQcow2({ file: new MemoryChild({ content: file.content.slice() }), mode: { forCheck: true } })
  expect(await again.check!.check({ fix: 'errors' })).toMatchObject({ corruptions: 0, checkErrors: 0, corruptionsFixed: 1 })
  await again.close()
})
