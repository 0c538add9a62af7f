import type { CreateContext, OptionsOf } from '@blockloom/block-driver'
import { BlockError } from '@blockloom/block-driver'
import { encodeHeader, HEADER_SIZE } from './on-disk/header.ts'
import type { acmeCreateOptions } from './options.ts'

/** Writes an empty image: it reads as zeroes. @internal */
export async function createAcme({ file, options }: CreateContext<OptionsOf<typeof acmeCreateOptions>>): Promise<void> {
  if (file === null) throw new BlockError('invalid', "Parameter 'file' is missing", { detail: { option: 'file' } })
  // What is in the file would show through.
  await file.resize(0)
  await file.resize(HEADER_SIZE + options.size)
  if (!file.zeroInit) await file.zero(HEADER_SIZE, options.size)
  await file.write(0, encodeHeader(options.size))
  await file.flush('stable')
}
