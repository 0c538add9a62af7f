import type { Extent } from '@blockloom/block-driver'
import type { Qcow2Image } from './image.ts'
import type { Mapper, RunKind } from './mapper.ts'

/**
 * Says what the run at `offset` is. Runs go on over L2 slices, as far as they are of one kind and, for data,
 * contiguous in the file.
 *
 * Host offsets are left out if the data file is not open, or is encrypted.
 *
 * @returns no promise if the L2 slices are cached
 * @internal
 */
export function extents(image: Pick<Qcow2Image, 'dataFile' | 'encryption'>, mapper: Mapper, offset: number, bytes: number): Extent | Promise<Extent> {
  const end = offset + bytes
  try {
    if (!mapper.lookup(offset, end)) return mapper.load(offset).then(() => extents(image, mapper, offset, bytes))
    const { kind, host } = mapper
    return goOn(image, mapper, { kind, host, offset, end, bytes: mapper.bytes })
  } catch (error) {
    return Promise.reject(error)
  }
}

/** A run so far. */
interface Run {
  readonly kind: RunKind
  readonly host: number
  readonly offset: number
  readonly bytes: number
  /** How far is asked. */
  readonly end: number
}

function goOn(image: Pick<Qcow2Image, 'dataFile' | 'encryption'>, mapper: Mapper, run: Run): Extent | Promise<Extent> {
  const { kind, host, offset, end } = run
  const contiguous = image.encryption === null && (kind === 'data' || kind === 'zero-alloc')
  let total = run.bytes
  while (offset + total < end) {
    const at = offset + total
    if (!mapper.lookup(at, end)) return mapper.load(at).then(() => goOn(image, mapper, { ...run, bytes: total }))
    if (mapper.kind !== kind || (contiguous && mapper.host !== host + total)) break
    total += mapper.bytes
  }
  return describe(image, kind, host, total)
}

function describe({ dataFile, encryption }: Pick<Qcow2Image, 'dataFile' | 'encryption'>, kind: RunKind, host: number, total: number): Extent {
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
