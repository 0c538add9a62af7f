import type { CheckFix } from '@blockloom/block-driver'
import type { RefcountFixer } from '../check/compare-refcounts.ts'
import type { CopiedFixer } from '../check/copied-flags.ts'
import type { CheckSource } from '../check/pass.ts'
import type { RefcountReader } from '../check/refcount-reader.ts'
import { viewOf } from '../on-disk/integers.ts'
import { L1_ENTRY_SIZE, l1Copied, l1Hi } from '../on-disk/l1.ts'
import { withCopied } from '../on-disk/l2.ts'
import { refcountCodec } from '../on-disk/refcount.ts'
import type { FreedClusters } from './freed-clusters.ts'
import type { SharedTables } from './shared-tables.ts'
import { writeChanged } from './write-changed.ts'

const SECTOR = 512

/** Corrects refcounts where they are: too high ones, and with `errors` too low ones. Clusters that become free go to `freed`. @internal */
export function refcountFixer({ file, geometry }: CheckSource, reader: RefcountReader, fix: CheckFix, freed: FreedClusters): RefcountFixer {
  const codec = refcountCodec(geometry.refcountBits)
  let bytes: number[] = []
  let free: number[] = []
  return {
    fix: (block, at, refcount, used) => {
      if (refcount < used && fix !== 'errors') return false
      codec.set(block, at, used)
      bytes.push(Math.floor((at * codec.bits) / 8))
      if (used === 0) free.push(at)
      return true
    },
    changed: async (index, block) => {
      const changed = bytes
      const becameFree = free
      bytes = []
      free = []
      await writeChanged(file, reader.blockOffset(index), block, changed)
      reader.forget()
      for (const at of becameFree) freed.add(index * geometry.refcountBlockEntries + at)
      if (freed.isMany) await freed.discard()
    },
  }
}

/** COPIED flags that could not be corrected where they are. @internal */
export interface Postponed {
  activeL1: boolean
  readonly l2: Set<number>
}

/**
 * Corrects COPIED flags where they are. Tables that share their clusters with something else have to be moved first.
 *
 * @param postponed - takes these; null if they shall stay as they are
 * @internal
 */
export function copiedFixer({ file, area, geometry }: CheckSource, shared: SharedTables, postponed: Postponed | null): CopiedFixer {
  return {
    mayChangeL1: () => postponed !== null || !shared.activeL1,
    mayChangeL2: (offset) => postponed !== null || !shared.l2.has(offset),
    changeL1: async (indexes) => {
      if (shared.activeL1) {
        postponed!.activeL1 = true
        return
      }
      for (let i = 0; i < indexes.length; ) {
        const sector = Math.floor((indexes[i]! * L1_ENTRY_SIZE) / SECTOR)
        const first = (sector * SECTOR) / L1_ENTRY_SIZE
        const bytes = new Uint8Array(SECTOR)
        const offset = area.header.l1Offset + sector * SECTOR
        await file.read(offset, bytes)
        const table = viewOf(bytes)
        for (; i < indexes.length && indexes[i]! < first + SECTOR / L1_ENTRY_SIZE; i++) {
          const at = indexes[i]! - first
          const hi = l1Hi(table, at)
          table.setUint32(at * L1_ENTRY_SIZE, withCopied(hi, !l1Copied(hi)))
        }
        await file.write(offset, bytes)
      }
    },
    changedL2: async (offset, table, indexes) => {
      if (shared.l2.has(offset)) postponed!.l2.add(offset)
      else await writeChanged(file, offset, table, indexes.map((index) => index * geometry.l2EntrySize))
    },
  }
}
