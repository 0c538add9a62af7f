import { RequestFlag, type Attempt } from '@blockloom/block-driver'
import { changeEntries } from './change-entries.ts'
import { unmapDataFile } from './data-file-zero.ts'
import { zeroKeepingCluster } from './keep-clusters.ts'
import { classifyCluster } from './on-disk/l2.ts'
import { hasBacking, unallocateGuest } from './unallocate.ts'
import type { Qcow2Writer } from './writer.ts'
import { zeroGuest, zeroPlain } from './zero.ts'

/**
 * Gives up whole clusters; a last one that reaches past the end of the disk counts as whole.
 *
 * They read as zeroes afterwards. Version 2 has no entry for that: with a backing file, whose old bytes would show, the
 * discard is refused, and the contents stay. The space becomes free, and is discarded in the file if the options say so,
 * once the tables that dropped it are stable. With `discard-no-unref` it stays allocated; see keep-clusters.ts.
 *
 * @internal
 */
export async function discardGuest(writer: Qcow2Writer, offset: number, bytes: number): Promise<Attempt> {
  const { image } = writer
  const { clusterSize, geometry, context } = image
  if (image.header.features.rawExternalData) return zeroGuest(writer, offset, bytes, RequestFlag.MAY_UNMAP)
  const end = offset + bytes === image.header.size ? Math.ceil((offset + bytes) / clusterSize) * clusterSize : offset + bytes
  if (image.version < 3) return unallocateGuest(writer, offset, end)
  const isBacked = hasBacking(image)
  await changeEntries(
    writer,
    offset,
    end,
    (slice, index, count, at) => {
      for (let i = index; i < index + count; i++) {
        const kind = classifyCluster(context, slice.view.getUint32(i * geometry.l2EntrySize), slice.view.getUint32(i * geometry.l2EntrySize + 4))
        if (!isBacked && kind === 'unallocated') continue
        if (!zeroKeepingCluster(writer, slice, i, at / clusterSize + i - index)) zeroPlain(writer, slice, i, 'request')
      }
    },
    {
      skipMissing: !isBacked,
      ...(image.externalData && image.options['pass-discard-request'] ? { claim: (at: number, to: number) => unmapDataFile(image, at, to) } : {}),
    },
  )
  return 'done'
}
