import { BlockError } from '@blockloom/block-driver'
import { updateHeader } from './header-update.ts'
import type { Qcow2Image } from './image.ts'
import { HEADER_FIELDS } from './on-disk/header.ts'
import type { Qcow2Options } from './options.ts'
import type { Qcow2Writer } from './writer.ts'

// With lazy refcounts a flush writes the tables that lead to clusters, but not their refcounts. Before that the image is
// marked dirty, which says so: whoever opens it for writing after a crash counts anew (repair/dirty.ts). Closing it writes
// the refcounts, then clears the bit. Spec, "Header", incompatible bit 0.
//
// Nothing else changes: what is freed is still free only after the tables that dropped it are stable, so the tables on
// disk never share a cluster that they should not, and counting gives the truth.

/** True if a flush may leave refcounts behind: the option says so, else the image. @internal */
export function hasLazyRefcounts({ options, header }: Pick<Qcow2Image, 'options' | 'header'>): boolean {
  return header.version >= 3 && (options['lazy-refcounts'] ?? header.features.lazyRefcounts)
}

/** @throws BlockError `invalid` if the option asks for what version 2 does not have @internal */
export function assertCanBeLazy(options: Qcow2Options, version: 2 | 3): void {
  if (options['lazy-refcounts'] !== true || version >= 3) return
  throw new BlockError('invalid', 'Lazy refcounts require a qcow2 image with at least qemu 1.1 compatibility level', { detail: { option: 'lazy-refcounts' } })
}

/** Says on disk that refcounts may be behind; stable when it returns. @internal */
export async function markDirty(image: Qcow2Image): Promise<void> {
  if (image.header.features.dirty) return
  await updateHeader(image, HEADER_FIELDS.incompatible, ({ features }) => ({ features: { ...features, dirty: true } }))
}

/** Says that they are not, if everything is on disk. An image that was found to be corrupt stays dirty. @internal */
export async function markClean({ image }: Qcow2Writer): Promise<void> {
  if (!image.header.features.dirty || image.corruption.first !== null) return
  await image.file.flush('stable')
  await updateHeader(image, HEADER_FIELDS.incompatible, ({ features }) => ({ features: { ...features, dirty: false } }))
}
