import { readFileSync, writeFileSync } from 'node:fs'
import type { BlockNode } from '@blockloom/block-core'
import { RequestFlag } from '@blockloom/block-driver'
import { createImage, openImage, type DiskImage, type OpenImageOptions } from 'blockloom'
import type { Chain } from './chain.ts'
import { contentBytes } from './content.ts'
import { assertSameBytes } from './compare.ts'
import { SECRET, SECRET_ID } from './layer.ts'
import type { GuestModel } from './model.ts'
import type { Change, Session } from './operations.ts'

const SECRETS = { [SECRET_ID]: SECRET }

/** Creates a layer with blockloom. */
export async function createByUs(chain: Chain, layer: number): Promise<void> {
  const { format, size } = chain.layers[layer]!
  await createImage(chain.file(layer), { format, size, options: chain.creation(layer), secrets: SECRETS })
}

/** Opens a layer, and what is below it, for writing. */
export function openForWriting(file: string, format: string, more: Partial<OpenImageOptions> = {}): Promise<DiskImage> {
  return openImage(file, { format, write: true, implicit: 'allow', unmap: true, cache: { 'no-flush': true }, secrets: SECRETS, ...more })
}

/** Runs sessions through block nodes. The model follows; reads are checked against it. */
export async function writeByUs(chain: Chain, sessions: readonly Session[], model: GuestModel): Promise<void> {
  for (const { layer, operations, killed } of sessions) {
    model.open(chain.layers[layer]!)
    await using disk = await openForWriting(chain.file(layer), chain.layers[layer]!.format, chain.key(layer))
    for (const operation of operations) {
      if (operation.kind === 'flush') await disk.flush()
      else if (operation.kind === 'read') {
        const seen = await disk.read(operation.offset, operation.bytes)
        assertSameBytes(seen, model.bytes.subarray(operation.offset, operation.offset + operation.bytes), operation.offset)
      } else {
        await applyChange(disk, operation)
        model.apply(operation)
        chain.bitmaps[layer]!.apply(operation)
      }
    }
    if (killed) await forgetClosing(disk, chain.file(layer))
  }
}

/** Flushes and closes; the file is then as if the process had been killed in between. */
async function forgetClosing(disk: DiskImage, file: string): Promise<void> {
  await disk.flush()
  const flushed = readFileSync(file)
  await disk.close()
  writeFileSync(file, flushed)
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

/** Throws unless we see these bytes in an image. */
export async function assertWeSee(expected: Uint8Array, image: string, format: string, more: Partial<OpenImageOptions> = {}): Promise<void> {
  await using disk = await openImage(image, { format, implicit: 'allow', secrets: SECRETS, ...more })
  await assertReads(disk.size, (at, part) => disk.readInto(at, part), expected)
}

/** Throws unless we see these bytes in an internal snapshot. */
export async function assertWeSeeSnapshot(expected: Uint8Array, image: string, name: string, more: Partial<OpenImageOptions> = {}): Promise<void> {
  await using disk = await openImage(image, { format: 'qcow2', implicit: 'allow', secrets: SECRETS, ...more })
  const snapshot = await disk.node.snapshots!.openReadOnly(name)
  await assertReads(await snapshot.size(), (at, part) => snapshot.read(at, part, 0), expected)
  await snapshot.close()
}

/** Throws unless our check finds a layer clean, and we see its bitmaps. */
export async function assertWeFindClean(chain: Chain, layer: number): Promise<void> {
  const model = chain.bitmaps[layer]!
  await using disk = await openImage(chain.file(layer), { format: 'qcow2', implicit: 'allow', noBacking: true, secrets: SECRETS, ...chain.key(layer) })
  const lines: string[] = []
  const { corruptions, leaks, checkErrors } = await disk.node.check!.check({ fix: 'none', report: (line) => void lines.push(line) })
  if (corruptions + leaks + checkErrors > 0) throw new Error(`Our check of layer ${layer} finds ${corruptions} corruptions, ${leaks} leaks, ${checkErrors} errors\n${lines.slice(0, 40).join('\n')}`)
  const names = disk.node.dirtyBitmaps.list.map(({ name }) => name).sort()
  if (names.join() !== [...model.names].sort().join()) throw new Error(`Layer ${layer} has the bitmaps ${names.join()}, not ${model.names.join()}`)
  for (const name of names) await assertDirty(disk, name, model.granularity(name), model.dirty(name))
}

/** Throws unless a bitmap of an open image has exactly these granules. */
export async function assertDirty(disk: DiskImage, name: string, granularity: number, expected: readonly number[]): Promise<void> {
  const bitmap = await disk.node.dirtyBitmaps.load(name)
  const dirty: number[] = []
  for (const { offset, bytes } of bitmap.dirtyAreas()) for (let at = offset; at < offset + bytes; at += granularity) dirty.push(at / granularity)
  if (bitmap.granularity === granularity && dirty.join() === expected.join()) return
  throw new Error(`Bitmap ${name} of granularity ${bitmap.granularity} (not ${granularity}?) has ${dirty.join()}, not ${expected.join()}`)
}

async function assertReads(size: number, read: (at: number, part: Uint8Array) => Promise<void>, expected: Uint8Array): Promise<void> {
  if (size !== expected.length) throw new Error(`Expected ${expected.length} bytes, got ${size}`)
  const chunk = new Uint8Array(Math.min(1 << 20, size))
  for (let at = 0; at < size; at += chunk.length) {
    const part = chunk.subarray(0, size - at)
    await read(at, part)
    assertSameBytes(part, expected.subarray(at, at + part.length), at)
  }
}
