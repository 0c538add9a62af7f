import type { AmendFacet, AmendHow } from '@blockloom/block-driver'
import { amendEncryption } from '../encryption/amend-encryption.ts'
import { exclusively } from '../exclusive.ts'
import { rewriteHeaderArea } from '../header-rewrite.ts'
import type { SnapshotStore } from '../snapshot-store.ts'
import type { RefcountBits } from '../units.ts'
import type { Qcow2Writer } from '../writer.ts'
import type { Qcow2AmendOptions } from './options.ts'
import { Progress, type StepProgress } from './progress.ts'
import { changeRefcountWidth, checkRefcountsFit } from './refcount-width.ts'
import { amendTarget, type AmendTarget } from './target.ts'
import { checkDowngrade, downgrade, upgrade } from './version.ts'

/** Changes of creation options; `resize` sets the size of the disk while requests are let through. @internal */
export function amendFacet(writer: Qcow2Writer, store: SnapshotStore, resize: (size: number) => Promise<void>): AmendFacet {
  return { amend: (options, how) => amend(writer, store, resize, options as Qcow2AmendOptions, how) }
}

/**
 * Everything that can be refused is refused before the first change. Then, as in the reference: up to version 3 first,
 * down to version 2 last, each step whole or not at all, or, where it says so, one that changes nothing that is read.
 */
async function amend(
  writer: Qcow2Writer,
  store: SnapshotStore,
  resize: (size: number) => Promise<void>,
  options: Qcow2AmendOptions,
  how: AmendHow,
): Promise<void> {
  const { image } = writer
  const target = amendTarget(image, options)
  await exclusively(writer, async () => {
    if (target.refcountOrder < image.header.refcountOrder) await checkRefcountsFit(writer, (2 ** target.refcountOrder) as RefcountBits)
    if (target.version < image.version) await checkDowngrade(writer, store, target)
    if (target.size !== image.header.size) image.bitmaps.assertConsistent()
  })
  const steps: ((progress: StepProgress) => Promise<void>)[] = []
  const { encrypt } = options
  if (encrypt !== undefined) steps.push(() => amendEncryption(writer, encrypt, { force: how.force ?? false }))
  if (target.version > image.version) steps.push(() => exclusively(writer, () => upgrade(writer, store)))
  if (target.refcountOrder !== image.header.refcountOrder) {
    steps.push((progress) => exclusively(writer, () => changeRefcountWidth(writer, target.refcountOrder, progress)))
  }
  if (changesHeader(writer, target)) steps.push(() => exclusively(writer, () => changeHeader(writer, target)))
  if (target.size !== image.header.size) steps.push(() => resize(target.size))
  if (target.version < image.version) steps.push((progress) => exclusively(writer, () => downgrade(writer, store, target, progress)))

  const progress = new Progress(how, Math.max(1, steps.length))
  for (const step of steps) await progress.during(step)
  if (steps.length === 0) await progress.during(async () => {})
}

function changesHeader({ image }: Qcow2Writer, target: AmendTarget): boolean {
  const { features } = image.header
  return (
    target.lazyRefcounts !== features.lazyRefcounts ||
    target.rawExternalData !== features.rawExternalData ||
    target.dataFile !== image.area.extensions.dataFile
  )
}

/** What is only said in the header. Without lazy refcounts the image is not dirty: they are all on disk now. */
async function changeHeader(writer: Qcow2Writer, target: AmendTarget): Promise<void> {
  const { lazyRefcounts, rawExternalData, dataFile } = target
  await rewriteHeaderArea(writer.image, (area) => ({
    ...area,
    header: {
      ...area.header,
      features: { ...area.header.features, lazyRefcounts, rawExternalData, dirty: lazyRefcounts && area.header.features.dirty },
    },
    extensions: { ...area.extensions, dataFile },
  }))
}
