/**
 * Disk images for JavaScript: open, create and convert, with every driver for Node composed.
 *
 * @example
 * ```ts
 * import { convert, createImage, openImage } from 'blockloom'
 *
 * await createImage('vm.qcow2', { format: 'qcow2', size: '10G' })
 * await using disk = await openImage('vm.qcow2', { format: 'qcow2', write: true })
 * await disk.write(1 << 20, new TextEncoder().encode('hello'))
 * for await (const { offset, length, data } of disk.extents()) if (data) console.log(offset, length)
 * await disk.close()
 * await convert('vm.qcow2', 'vm.raw', { source: { format: 'qcow2' }, target: { format: 'raw' } })
 * ```
 *
 * @packageDocumentation
 */
export { backingPath } from './backing-path.ts'
export { copyBitmaps } from './bitmaps/copy-bitmaps.ts'
export type { BitmapCopyOptions } from './bitmaps/copy-bitmaps.ts'
export { commitImage } from './commit/commit-image.ts'
export type { CommitOptions } from './commit/commit-image.ts'
export { compareImages } from './compare-images.ts'
export type { CompareOptions, CompareResult } from './compare-images.ts'
export { convert } from './convert.ts'
export type { ConvertOptions } from './convert.ts'
export { copyImage } from './copy/copy-image.ts'
export type { CopyOptions, CopyProgress } from './copy/copy-image.ts'
export { createImage } from './create-image.ts'
export type { CreateImageOptions } from './create-image.ts'
export { DiskImage } from './disk-image.ts'
export { allDrivers } from './drivers.ts'
export type { DiskExtent } from './extents.ts'
export { imageInfo } from './image-info.ts'
export type { ImageInfo } from './image-info.ts'
export { keySecretOptions } from './key-secrets.ts'
export { measureImage } from './measure-image.ts'
export type { MeasureOptions } from './measure-image.ts'
export { openImage } from './open-image.ts'
export type { OpenImageOptions } from './open-image.ts'
export { openSnapshot } from './open-snapshot.ts'
export { rebaseImage } from './rebase/rebase-image.ts'
export type { RebaseOptions } from './rebase/rebase-image.ts'
export type { Secrets } from './secrets.ts'
export type { StreamRange } from './streams.ts'
export { alignedBuffer } from './pieces/aligned-buffer.ts'
