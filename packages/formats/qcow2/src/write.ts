import { writeData, writeWithCow, type CowWrite } from './cow.ts'
import type { Flight } from './in-flight.ts'
import { cachedSlice, link } from './link.ts'
import { ownTable } from './own-table.ts'
import { settle, settleAll } from './settle.ts'
import { release } from './release.ts'
import type { Qcow2Writer } from './writer.ts'

/**
 * Writes guest bytes.
 *
 * What is allocated already goes straight to its place: one request per contiguous run, and if that is all, its own
 * promise is what is returned. Elsewhere neighbouring clusters are allocated together; the mapping changes after the
 * data has been written. Only requests to a cluster whose mapping is about to change wait.
 *
 * @internal
 */
export function writeGuest(writer: Qcow2Writer, offset: number, from: Uint8Array): Promise<void> {
  const { planner, image, inFlight } = writer
  const end = offset + from.length
  try {
    if (writer.ready && image.corruption.first === null && planner.plan(offset, end) === 'planned' && planner.kind === 'in-place' && planner.end === end) {
      const { clusterSize } = image
      if (inFlight.size === 0 || inFlight.find(Math.floor(offset / clusterSize), Math.ceil(end / clusterSize)) === undefined) {
        return writer.grace.during(writeInPlace(writer, offset, planner.host, from))
      }
    }
  } catch (error) {
    return Promise.reject(error)
  }
  return writer.grace.during(writePieces(writer, offset, from))
}

function writeInPlace(writer: Qcow2Writer, guest: number, host: number, from: Uint8Array): Promise<void> {
  const { clusterSize, externalData } = writer.image
  if (!externalData) {
    const first = Math.floor(host / clusterSize)
    writer.overlap.assertFree(first, Math.ceil((host + from.length) / clusterSize) - first)
  }
  return writeData(writer.image, guest, host, from)
}

async function writePieces(writer: Qcow2Writer, offset: number, from: Uint8Array): Promise<void> {
  const requests: Promise<void>[] = []
  try {
    if (!writer.ready) await writer.prepare()
    const end = offset + from.length
    for (let at = offset; at < end; ) {
      const next = startPiece(writer, at, end, from.subarray(at - offset), requests)
      if (typeof next === 'number') at = next
      else await next
    }
  } catch (error) {
    requests.push(Promise.reject(error))
  }
  await settleAll(requests)
}

/**
 * Starts writing the piece at `at`, without waiting: from the plan to the claim nothing can change.
 *
 * @param from - the data from `at` on
 * @param requests - the piece's request is added to it
 * @returns where the next piece starts, or what to wait for before trying again
 */
function startPiece(writer: Qcow2Writer, at: number, end: number, from: Uint8Array, requests: Promise<void>[]): number | Promise<void> {
  const { image, planner, inFlight, allocator } = writer
  const { clusterSize, externalData } = image
  image.corruption.assertWritable()
  const planned = planner.plan(at, end)
  if (planned === 'not-loaded') return image.mapper.load(at)
  if (planned === 'no-table') return ownTable(writer, Math.floor(at / image.geometry.l2Coverage))
  if (planner.kind !== 'in-place') writer.overlap.assertTable(image.mapper.sliceOffset(at))

  const first = Math.floor(at / clusterSize)
  const other = inFlight.find(first, Math.ceil(planner.end / clusterSize))
  if (other !== undefined) {
    if (other.first <= first) return other.done
    planner.trim(other.first * clusterSize)
  }
  if (planner.kind === 'in-place') {
    requests.push(settle(writeInPlace(writer, at, planner.host, from.subarray(0, planner.end - at))))
    return planner.end
  }
  let host = planner.host
  let virgin = false
  const reuse = planner.kind === 'reuse'
  if (!reuse && externalData) {
    // "The offset field in the Standard Cluster Descriptor must match the guest offset".
    host = first * clusterSize
  } else if (!reuse) {
    const allocated = allocator.tryAllocate(Math.ceil(planner.end / clusterSize) - first)
    if (allocated === undefined) return allocator.prepare(1)
    host = allocated.first * clusterSize
    virgin = allocated.virgin
    const reach = (first + allocated.count) * clusterSize
    if (reach < planner.end) planner.trim(reach)
  } else if (!externalData) {
    writer.overlap.assertFree(host / clusterSize, Math.ceil(planner.end / clusterSize) - first)
  }
  const data = from.subarray(0, planner.end - at)
  const flight = inFlight.add(first, Math.ceil(planner.end / clusterSize))
  const { cowStart, cowEnd } = planner
  requests.push(settle(writeClusters(writer, flight, { at, data, cowStart, cowEnd, host: host + (cowStart - first * clusterSize), virgin }, reuse)))
  return planner.end
}

/** Writes to claimed clusters, then makes the L2 entries point there; gives the clusters back if that fails. */
async function writeClusters(writer: Qcow2Writer, flight: Flight, write: CowWrite, reuse: boolean): Promise<void> {
  const { image } = writer
  const { clusterSize, externalData } = image
  const host = write.host - (write.cowStart - flight.first * clusterSize)
  try {
    await writeWithCow(image, write)
    let slice = cachedSlice(writer, write.at)
    while (slice === undefined) {
      await image.mapper.load(write.at)
      slice = cachedSlice(writer, write.at)
    }
    link(writer, slice, { from: write.cowStart, to: write.cowEnd, host, reuse })
  } catch (error) {
    if (!reuse && !externalData) {
      // If even that fails, the clusters leak; the caller wants to know why the write failed.
      await release(writer, [{ first: host / clusterSize, count: flight.end - flight.first, reason: 'other' }]).catch(() => {})
    }
    throw error
  } finally {
    flight.finish()
  }
}
