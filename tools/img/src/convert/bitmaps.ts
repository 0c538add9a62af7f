import { isBlockError } from '@blockloom/block-driver'
import { copyBitmaps, type DiskImage } from 'blockloom'
import { Failure } from '../failure.ts'
import { warn, type Host } from '../host.ts'
import { canHaveBitmaps } from '../images/stored-bitmaps.ts'

/** What `--bitmaps` wants; undefined: nothing. @internal */
export interface BitmapWish {
  readonly skipBroken: boolean
}

/** Whether the bitmaps of the sources can be copied at all; asked before a target is made. @internal */
export async function checkSourceBitmaps(sources: readonly DiskImage[], { skipBroken }: BitmapWish): Promise<void> {
  if (sources.length > 1) throw new Failure('Copying bitmaps only possible with single source')
  const disk = sources[0]!
  if (!(await canHaveBitmaps(disk))) throw new Failure('Source lacks bitmap support')
  const broken = disk.bitmaps.list.findLast(({ inconsistent }) => inconsistent)
  if (broken === undefined || skipBroken) return
  throw new Failure(`Cannot copy inconsistent bitmap '${broken.name}'`, {
    hint: "Try --skip-broken-bitmaps, or use 'qemu-img bitmap --remove' to delete it\n",
  })
}

/** Whether bitmaps can be stored in the target; asked before data is copied. @internal */
export function checkTargetBitmaps({ bitmaps, format }: DiskImage): void {
  if (!bitmaps.storable) throw new Failure(`Format driver '${format}' does not support bitmaps`)
}

/** @internal */
export async function copySourceBitmaps(host: Host, source: DiskImage, target: DiskImage, { skipBroken }: BitmapWish): Promise<void> {
  const onSkipped = (name: string): void => warn(host, `Skipping inconsistent bitmap '${name}'`)
  try {
    await copyBitmaps({ source: source.node, target: target.node, skipInconsistent: skipBroken, onSkipped })
  } catch (error) {
    throw isBlockError(error) ? new Failure(error.message, { cause: error }) : error
  }
}
