import { commitImage, rebaseImage } from 'blockloom'
import type { Chain } from './chain.ts'
import { openForWriting } from './ours.ts'
import { mustRun } from './run-tool.ts'

/** What happens to a chain in the end: the top goes into its backing file, or on top of another one, or stands alone. */
export type Finale = { readonly kind: 'commit' } | { readonly kind: 'rebase'; readonly onto: number | null }

export async function finishByUs(chain: Chain, finale: Finale): Promise<void> {
  const disk = await openForWriting(chain.file(chain.top), 'qcow2')
  if (finale.kind === 'commit') {
    await commitImage(disk)
    return
  }
  try {
    await rebaseImage(disk, { backing: finale.onto === null ? null : { filename: chain.file(finale.onto), format: chain.layers[finale.onto]!.format } })
  } finally {
    await disk.close()
  }
}

export async function finishByReference(chain: Chain, finale: Finale): Promise<void> {
  const file = chain.file(chain.top)
  if (finale.kind === 'commit') await mustRun('qemu-img', ['commit', '-q', '-t', 'unsafe', '-f', 'qcow2', file])
  else {
    const onto = finale.onto === null ? ['-b', ''] : ['-b', chain.file(finale.onto), '-F', chain.layers[finale.onto]!.format]
    await mustRun('qemu-img', ['rebase', '-q', '-t', 'unsafe', '-f', 'qcow2', ...onto, file])
  }
}
