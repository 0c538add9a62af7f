import type { ChildHandle, Extent } from '@blockloom/block-driver'
import type { Mapper } from './mapper.ts'

/**
 * Says what the run at `offset` is. Runs go on over L2 slices, as far as they are of one kind and, for data,
 * contiguous in the file.
 *
 * @param dataFile - where guest clusters are; null if it is not open, then no host offsets are given
 * @internal
 */
export async function extents(mapper: Mapper, dataFile: ChildHandle | null, offset: number, bytes: number): Promise<Extent> {
  const end = offset + bytes
  while (!mapper.lookup(offset, end)) await mapper.load(offset)
  const { kind, host } = mapper
  const contiguous = kind === 'data' || kind === 'zero-alloc'
  let total = mapper.bytes
  while (offset + total < end) {
    const at = offset + total
    while (!mapper.lookup(at, end)) await mapper.load(at)
    if (mapper.kind !== kind || (contiguous && mapper.host !== host + total)) break
    total += mapper.bytes
  }
  const place = dataFile === null ? {} : { host: { child: dataFile, offset: host } }
  switch (kind) {
    case 'data':
      return { kind: 'data', bytes: total, ...place }
    case 'zero-alloc':
      return { kind: 'zero', bytes: total, ...place }
    case 'zero':
      return { kind: 'zero', bytes: total }
    case 'absent':
      return { kind: 'absent', bytes: total }
    case 'compressed':
      return { kind: 'encoded', bytes: total, compressed: true }
  }
}
