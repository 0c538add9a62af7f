/**
 * Hierarchical bitmap: which bytes of a disk are dirty, at some granularity.
 *
 * ```ts
 * import { HBitmap } from '@blockloom/hbitmap'
 *
 * const bitmap = new HBitmap({ size: 16 * 2 ** 40, granularity: 65536 })
 * bitmap.set(70_000, 512)
 * console.log(bitmap.count, bitmap.nextDirtyArea(0)) // 1 { offset: 65536, bytes: 65536 }
 * ```
 *
 * @packageDocumentation
 */
export { HBitmap } from './hbitmap.ts'
export type { DirtyArea, DirtyAreasOptions, DirtyStatus, HBitmapOptions } from './hbitmap.ts'
