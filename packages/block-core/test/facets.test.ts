import { createGraph } from '@blockloom/block-core'
import { defineDriver, limits, type SnapshotFacet } from '@blockloom/block-driver'
import { expect, test } from 'vitest'

/** A disk whose size is what the last snapshot operation said, and that takes its time. */
function setup(log: string[]) {
  let size = 1024
  const slow = async (what: string, next: number): Promise<void> => {
    log.push(`${what} begins`)
    await new Promise((resolve) => setImmediate(resolve))
    size = next
    log.push(`${what} ends`)
  }
  const snapshots: SnapshotFacet = {
    list: () => [],
    openReadOnly: () => Promise.reject(new Error('none')),
    revert: (select) => slow('revert', Number(select)),
  }
  const driver = defineDriver({
    name: 'disk', kind: 'protocol', summary: 'test', options: {},
    open: async () => ({
      limits: limits(),
      size: () => size,
      read: async (_offset, into) => void into.fill(1),
      writer: {
        write: async (offset) => {
          log.push(`write ${offset}`)
          await new Promise((resolve) => setImmediate(resolve))
          log.push(`written ${offset}`)
        },
        flush: async () => void log.push('flush'),
      },
      snapshots,
      close: async () => {},
    }),
  })
  return createGraph({ drivers: [driver] }).open({ driver: 'disk' })
}

test('what changes an image beside its requests runs alone, and the node knows the new size', async () => {
  const log: string[] = []
  const node = await setup(log)
  const before = node.write(0, new Uint8Array(1))
  const revert = node.snapshots!.revert!('2048')
  const after = node.write(512, new Uint8Array(1))
  await Promise.all([before, revert, after])
  expect(log).toEqual(['write 0', 'written 0', 'revert begins', 'revert ends', 'write 512', 'written 512'])
  expect(node.size).toBe(2048)
  await node.read(2047, new Uint8Array(1))
  await node.snapshots!.revert!('512')
  await expect(node.read(1000, new Uint8Array(1))).rejects.toMatchObject({ code: 'range' })
})

test('such a change is flushed like a write', async () => {
  const log: string[] = []
  const node = await setup(log)
  await node.snapshots!.revert!('1024')
  await node.flush()
  expect(log.at(-1)).toBe('flush')
})

test('absent members stay absent', async () => {
  const node = await setup([])
  expect([node.snapshots!.create, node.snapshots!.remove, node.check, node.bitmaps, node.amend, node.backingReference]).toEqual(Array(6).fill(undefined))
})
