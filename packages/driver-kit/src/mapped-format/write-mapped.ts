import type { WriteFacet } from '@blockloom/block-driver'
import { ByteRangeLock } from '@blockloom/coroutine-scheduler'
import { alignDown } from '../on-disk/alignment.ts'
import { type Allocation, type MappedFormatInit, type MappedWriting, type Mapping, mappingAt } from './mapping.ts'
import { readRun } from './read-mapped.ts'
import { Runs } from './runs.ts'

/**
 * Writes in place where there is a place, and allocates whole blocks elsewhere: data first, the mapping after.
 *
 * Lock: the range of a block, exclusive, while it is allocated; nobody holds two. Writes to a place that exists take
 * none.
 *
 * @internal
 */
export function mappedWriter(init: MappedFormatInit, writing: MappedWriting): WriteFacet {
  const allocating = new ByteRangeLock({ name: 'blocks being allocated' })
  const { blockSize } = writing

  async function write(offset: number, from: Uint8Array): Promise<void> {
    const runs = new Runs(init, offset, from.length)
    let done = 0
    for (let run = await runs.next(); run !== undefined; run = await runs.next()) {
      const part = from.subarray(done, done + run.bytes)
      if (run.kind === 'data') await init.file.write(run.host, part)
      else await writeBlocks(offset + done, part)
      done = done + run.bytes
    }
  }

  async function writeBlocks(offset: number, from: Uint8Array): Promise<void> {
    for (let done = 0; done < from.length; ) {
      const at = offset + done
      const start = alignDown(at, blockSize)
      const part = from.subarray(done, done + start + blockSize - at)
      await allocating.run(start, blockSize, 'exclusive', () => writeBlock(start, at, part))
      done = done + part.length
    }
  }

  async function writeBlock(start: number, at: number, part: Uint8Array): Promise<void> {
    // Another request may have allocated it meanwhile.
    const now = await mappingAt(init, at, part.length)
    if (now.kind === 'data') return init.file.write(now.host, part)
    const place = await writing.allocate(start)
    try {
      await fillBlock(place, now, start, at, part)
    } catch (error) {
      place.abort()
      throw error
    }
    await place.commit()
  }

  async function fillBlock(place: Allocation, old: Mapping, start: number, at: number, part: Uint8Array): Promise<void> {
    if (part.length === blockSize) return init.file.write(place.host, part)
    const wasZero = old.kind === 'zero' || !init.backing?.current
    if (wasZero && place.readsAsZero) return init.file.write(place.host + (at - start), part)
    const block = new Uint8Array(blockSize)
    // What a longer backing file has behind our end must not appear when we grow.
    const known = Math.min(blockSize, init.size() - start)
    if (!wasZero) {
      const tail = at + part.length - start
      await readRun(init, old, start, block.subarray(0, at - start))
      if (tail < known) await readRun(init, old, start + tail, block.subarray(tail, known))
    }
    block.set(part, at - start)
    await init.file.write(place.host, block)
  }

  return { write, flush: (scope) => writing.flush(scope) }
}
