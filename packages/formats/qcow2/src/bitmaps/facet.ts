import { BlockError, type BitmapContent, type BitmapFacet } from '@blockloom/block-driver'
import { exclusively } from '../exclusive.ts'
import type { Qcow2Image } from '../image.ts'
import { printableName } from '../on-disk/names.ts'
import type { Qcow2Writer } from '../writer.ts'
import { assertStorable } from './assert-storable.ts'
import type { ListedBitmap } from './bitmap-list.ts'
import { loadBitmap } from './load.ts'
import { switchBitmaps } from './switch-directory.ts'
import { writeBitmap } from './write-bitmap.ts'

/**
 * The bitmaps that are stored in an image. A version 2 image has none, and `assertStorable` says so.
 *
 * @internal
 */
export function bitmapFacet(image: Qcow2Image, writer: Qcow2Writer | null, nodeName: string): BitmapFacet {
  const { bitmaps } = image
  return {
    // A check tells what is broken.
    list: () => (bitmaps.broken !== null && image.mode.forCheck ? [] : bitmaps.list()),
    load: (name, chunk) => {
      const read = async (): Promise<void> => loadBitmap(image, bitmaps.find(name), chunk)
      return writer === null ? read() : writer.gate.pass(() => writer.grace.during(read()))
    },
    ...(writer === null ? {} : { assertStorable: (bitmap) => assertStorable(image, nodeName, [bitmap]) }),
    ...(writer === null || image.version < 3 ? {} : changes(writer, nodeName)),
  }
}

function changes(writer: Qcow2Writer, nodeName: string): Partial<BitmapFacet> {
  const { image } = writer
  const { bitmaps } = image
  return {
    store: async (contents) => {
      if (contents.length === 0) return
      const check = (): void => {
        assertDistinct(contents)
        assertStorable(image, nodeName, contents)
      }
      await exclusively(writer, () => storeBitmaps(writer, contents), check)
    },
    remove: (name) => exclusively(writer, () => removeBitmap(writer, name), () => void bitmaps.find(name)),
  }
}

async function storeBitmaps(writer: Qcow2Writer, contents: readonly BitmapContent[]): Promise<void> {
  await switchBitmaps(writer, async (taken) => {
    const listed = new Map<string, ListedBitmap>(writer.image.bitmaps.listed.map((each) => [each.entry.name, each]))
    for (const content of contents) {
      listed.set(content.name, { entry: await writeBitmap(writer, content, taken), inconsistent: false })
    }
    return [...listed.values()]
  })
}

async function removeBitmap(writer: Qcow2Writer, name: string): Promise<void> {
  await switchBitmaps(writer, async () => writer.image.bitmaps.listed.filter(({ entry }) => entry.name !== name))
}

function assertDistinct(contents: readonly BitmapContent[]): void {
  const names = new Set<string>()
  for (const { name } of contents) {
    if (names.has(name)) throw new BlockError('invalid', `Bitmap already exists: ${printableName(name)}`, { errno: 'EEXIST', detail: { bitmap: name } })
    names.add(name)
  }
}
