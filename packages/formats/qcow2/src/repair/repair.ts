import { isBlockError, type CheckOptions, type CheckResult } from '@blockloom/block-driver'
import { totals } from '../check/check.ts'
import { Findings } from '../check/findings.ts'
import type { CheckSource } from '../check/pass.ts'
import type { Walk } from '../check/walk.ts'
import type { DecodedHeaderArea } from '../on-disk/header-area.ts'
import { HEADER_FIELDS } from '../on-disk/header.ts'
import { isEmpty, NO_BITS } from '../on-disk/integers.ts'
import { readHeaderArea } from '../read-header.ts'
import { changeHeader } from './change-header.ts'
import { repairErrors } from './repair-errors.ts'
import { repairLeaks } from './repair-leaks.ts'

/** Bytes for counters: two walks may have some at a time. */
const MEMORY = 64 * 1024 * 1024

/** What a repair did. @internal */
export interface Repaired {
  /** What is fixed, and what was found and is still there. */
  readonly result: CheckResult
  /** What the first cluster says now. */
  readonly area: DecodedHeaderArea
}

/**
 * Repairs an image as `qemu-img check -r` 7.2 does, with its lines and counts: `leaks` lowers refcounts that are too
 * high, `errors` repairs everything. With `errors` it goes further than the reference: package README, "Check and repair".
 *
 * It works on the file alone and needs no valid refcounts. Whatever part of its writes reaches the disk, another repair
 * completes it, and nothing that the guest could read is lost: tables are mended where they are, sector by sector, and only
 * if nothing else is in their clusters; everything that moves is written to clusters that nothing uses and comes into
 * force with one write to the header; refcounts are lowered when nothing on disk refers to the clusters any more.
 *
 * An image that is too broken is not an error, but counts in `checkErrors`, and the result has no `totalClusters` then:
 * with `leaks`, if the refcount structures need to be rebuilt; if metadata cannot be read; if more overlaps than can be
 * repaired. Memory stays below 256 MiB.
 *
 * @param memory - bytes for counters; only tests change it
 * @throws what a write to the file threw
 * @internal
 */
export async function repairImage(given: CheckSource, options: CheckOptions, memory = MEMORY): Promise<Repaired> {
  options.signal?.throwIfAborted()
  const findings = new Findings(options.report)
  const source = await withoutUnknownBits(given)
  const how = { signal: options.signal, memory }
  try {
    const walk = await (options.fix === 'errors' ? repairErrors(source, how, findings) : repairLeaks(source, how, findings))
    if (walk === null) return { result: findings.result(), area: source.area }
    return { result: totals(walk, findings), area: await markClean(walk, findings) }
  } catch (error) {
    if (!isBlockError(error, 'corrupt')) throw error
    findings.failure(`ERROR ${error.message}`)
    // It may have come some way.
    return { result: findings.result(), area: await readHeaderArea(source.file, true) }
  }
}

/** Clears the autoclear bits of features that are not known: a repair could make them untrue. */
async function withoutUnknownBits(source: CheckSource): Promise<CheckSource> {
  const { file, area, geometry } = source
  if (area.header.version < 3 || isEmpty(area.header.unknownAutoclear)) return source
  return { file, geometry, area: await changeHeader(file, area, HEADER_FIELDS.features, { unknownAutoclear: NO_BITS }) }
}

/** Clears the dirty and the corrupt bit, if the image is neither any more. */
async function markClean({ file, area }: Walk, { corruptions, checkErrors }: Findings): Promise<DecodedHeaderArea> {
  await file.flush('stable')
  const { features } = area.header
  if (corruptions > 0 || checkErrors > 0 || (!features.dirty && !features.corrupt)) return area
  return changeHeader(file, area, HEADER_FIELDS.incompatible, { features: { ...features, dirty: false, corrupt: false } })
}
