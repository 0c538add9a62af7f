import type { BlockNode } from '@blockloom/block-core'
import { RequestFlag } from '@blockloom/block-driver'
import { createImage, openImage, type DiskImage } from 'blockloom'
import type { Chain } from './chain.ts'
import { contentBytes } from './content.ts'
import { assertSameBytes } from './compare.ts'
import type { GuestModel } from './model.ts'
import type { Change, Session } from './operations.ts'

/** Creates a layer with blockloom. */
export async function createByUs(chain: Chain, layer: number): Promise<void> {
  const { format, size } = chain.layers[layer]!
  await createImage(chain.file(layer), { format, size, options: chain.creation(layer) })
}

/** Opens a layer, and what is below it, for writing. */
export function openForWriting(file: string, format: string): Promise<DiskImage> {
  return openImage(file, { format, write: true, implicit: 'allow', unmap: true, cache: { 'no-flush': true } })
}

/** Runs sessions through block nodes. The model follows; reads are checked against it. */
export async function writeByUs(chain: Chain, sessions: readonly Session[], model: GuestModel): Promise<void> {
  for (const { layer, operations } of sessions) {
    model.open(chain.layers[layer]!)
    await using disk = await openForWriting(chain.file(layer), chain.layers[layer]!.format)
    for (const operation of operations) {
      if (operation.kind === 'flush') await disk.flush()
      else if (operation.kind === 'read') {
        const seen = await disk.read(operation.offset, operation.bytes)
        assertSameBytes(seen, model.bytes.subarray(operation.offset, operation.offset + operation.bytes), operation.offset)
      } else {
        await applyChange(disk, operation)
        model.apply(operation)
      }
    }
  }
}

/** One change through a node. */
export async function applyChange({ node }: DiskImage, change: Change): Promise<void> {
  switch (change.kind) {
    case 'write':
      return node.write(change.offset, contentBytes(change.content, change.bytes))
    case 'compressed':
      return writeClusters(node, change.offset, contentBytes(change.content, change.bytes))
    case 'zero':
      return node.zero(change.offset, change.bytes, change.unmap ? RequestFlag.MAY_UNMAP : 0)
    case 'discard':
      return node.discard(change.offset, change.bytes)
    case 'resize':
      return node.resize(change.size)
  }
}

/** All at once, as a copy does it. */
async function writeClusters(node: BlockNode, offset: number, from: Uint8Array): Promise<void> {
  const cluster = node.compressGranularity!
  const writes: Promise<void>[] = []
  for (let at = 0; at < from.length; at += cluster) writes.push(node.writeCompressed(offset + at, from.subarray(at, at + cluster)))
  await Promise.all(writes)
}

/** What the guest sees of an image, as we read it. */
export async function readByUs(image: string, format: string): Promise<Uint8Array> {
  await using disk = await openImage(image, { format, implicit: 'allow' })
  return disk.read(0, disk.size)
}
