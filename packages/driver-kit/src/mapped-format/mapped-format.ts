import type { Extent, Instance, WriteFacet } from '@blockloom/block-driver'
import type { MappedFormatInit } from './mapping.ts'
import { readMapped } from './read-mapped.ts'
import { Runs } from './runs.ts'
import { mappedWriter } from './write-mapped.ts'

/** The hooks that a map gives; spread them into the instance. @public */
export interface MappedHooks {
  readonly read: Instance['read']
  readonly extents: NonNullable<Instance['extents']>
  /** There if the format gave `writing`. */
  readonly writer?: WriteFacet
}

// One answer about extents looks at so many entries of the map at most.
const MOST_ENTRIES = 4096

/**
 * Makes the data path of a format that only maps guest ranges to host ranges: a window into a raw file, VDI, VHD,
 * Parallels, Bochs.
 *
 * - Reads of a range in one place are one request to the child; ranges in several places are read in parallel.
 * - Writes to mapped ranges go in place. Elsewhere a whole block is allocated, filled up with what was there
 *   before, written, and only then mapped: a failure in between leaves the image as it was.
 *
 * @example
 * ```ts
 * const hooks = mappedFormat({ file, size: () => size, map: (offset, bytes) => ({ kind: 'data', bytes, host: start + offset }) })
 * return { ...hooks, limits: limits(), size: () => size, close: async () => {} }
 * ```
 * @public
 */
export function mappedFormat(init: MappedFormatInit): MappedHooks {
  return {
    read: (offset, into) => readMapped(init, offset, into),
    extents: async (offset, bytes): Promise<Extent> => {
      const run = (await new Runs(init, offset, bytes, MOST_ENTRIES).next())!
      if (run.kind === 'absent' || run.host === undefined) return { kind: run.kind as 'absent' | 'zero', bytes: run.bytes }
      return { kind: run.kind, bytes: run.bytes, host: { child: init.file, offset: run.host } }
    },
    ...(init.writing !== undefined && { writer: mappedWriter(init, init.writing) }),
  }
}
