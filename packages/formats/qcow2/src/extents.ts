import type { Extent } from '@blockloom/block-driver'
import type { Qcow2Image } from './image.ts'
import type { Mapper } from './mapper.ts'

/**
 * Says what the run at `offset` is. Runs go on over L2 slices, as far as they are of one kind and, for data,
 * contiguous in the file.
 *
 * Host offsets are left out if the data file is not open, or is encrypted.
 *
 * @internal
 */
export async function extents({ dataFile, encryption }: Pick<Qcow2Image, 'dataFile' | 'encryption'>, mapper: Mapper, offset: number, bytes: number): Promise<Extent> {
  const end = offset + bytes
  while (!mapper.lookup(offset, end)) await mapper.load(offset)
  const { kind, host } = mapper
  const contiguous = encryption === null && (kind === 'data' || kind === 'zero-alloc')
  let total = mapper.bytes
  while (offset + total < end) {
    const at = offset + total
    while (!mapper.lookup(at, end)) await mapper.load(at)
    if (mapper.kind !== kind || (contiguous && mapper.host !== host + total)) break
    total += mapper.bytes
  }
  const place = dataFile === null || encryption !== null ? {} : { host: { child: dataFile, offset: host } }
  switch (kind) {
    case 'data':
      return encryption === null ? { kind: 'data', bytes: total, ...place } : { kind: 'encoded', bytes: total }
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
