import { DONE } from '@blockloom/block-driver'
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
 * What is allocated already goes straight to its place: one request per contiguous run. Elsewhere neighbouring clusters
 * are allocated together; the mapping changes after the data has been written. Only requests to a cluster whose mapping is
 * about to change wait. If there is but one request, its own promise is returned.
 *
 * @internal
 */
export function writeGuest(writer: Qcow2Writer, offset: number, from: Uint8Array): Promise<void> {
  return writer.grace.during(writer.ready ? writePieces(writer, offset, from) : writer.prepare().then(() => writePieces(writer, offset, from)))
}

function writeInPlace(writer: Qcow2Writer, guest: number, host: number, from: Uint8Array): Promise<void> {
  const { clusterSize, externalData } = writer.image
  if (!externalData) {
    const first = Math.floor(host / clusterSize)
    writer.overlap.assertFree(first, Math.ceil((host + from.length) / clusterSize) - first)
  }
  return writeData(writer.image, guest, host, from)
}

/** {@link DONE} if all pieces are done in this turn. */
function writePieces(writer: Qcow2Writer, offset: number, from: Uint8Array): Promise<void> {
  const requests: Promise<void>[] = []
  const end = offset + from.length
  let at = offset
  try {
    while (at < end) {
      const next = startPiece(writer, at, end, at === offset ? from : from.subarray(at - offset), requests)
      if (typeof next !== 'number') return writeRest(writer, at, end, from.subarray(at - offset), requests, next)
      at = next
    }
  } catch (error) {
    requests.push(Promise.reject(error))
  }
  if (requests.length === 0) return DONE
  return requests.length === 1 ? requests[0]! : settleAll(requests)
}

/** Goes on at `at` after `wait`. */
async function writeRest(writer: Qcow2Writer, at: number, end: number, from: Uint8Array, requests: Promise<void>[], wait: Promise<void>): Promise<void> {
  try {
    await wait
    for (let next = at; next < end; ) {
      const step = startPiece(writer, next, end, from.subarray(next - at), requests)
      if (typeof step === 'number') next = step
      else await step
    }
  } catch (error) {
    requests.push(Promise.reject(error))
  }
  await settleAll(requests)
}

/** Requests that are done already need not be waited for. */
function keep(requests: Promise<void>[], request: Promise<void>): void {
  if (request !== DONE) requests.push(settle(request))
}

/**
 * Starts writing the piece at `at`, without waiting: from the plan to the claim nothing can change.
 *
 * @param from - the data from `at` on
 * @param requests - the piece's request is added to it, unless it is done already
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
    const { host, end: reached } = planner
    keep(requests, writeInPlace(writer, at, host, part(from, reached - at)))
    return reached
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
  const flight = inFlight.add(first, Math.ceil(planner.end / clusterSize))
  const { cowStart, cowEnd, end: reached } = planner
  keep(requests, writeClusters(writer, flight, { at, data: part(from, reached - at), cowStart, cowEnd, host: host + (cowStart - first * clusterSize), virgin }, reuse))
  return reached
}

function part(from: Uint8Array, bytes: number): Uint8Array {
  return from.length === bytes ? from : from.subarray(0, bytes)
}

/** Writes to claimed clusters, then makes the L2 entries point there; gives the clusters back if that fails. */
function writeClusters(writer: Qcow2Writer, flight: Flight, write: CowWrite, reuse: boolean): Promise<void> {
  const host = write.host - (write.cowStart - flight.first * writer.image.clusterSize)
  let writing: Promise<void>
  try {
    writing = writeWithCow(writer.image, write)
    const slice = writing === DONE ? cachedSlice(writer, write.at) : undefined
    if (slice !== undefined) {
      link(writer, slice, { from: write.cowStart, to: write.cowEnd, host, reuse })
      flight.finish()
      return DONE
    }
  } catch (error) {
    writing = Promise.reject(error)
  }
  return linkWhenWritten(writer, flight, write, host, reuse, writing)
}

async function linkWhenWritten(writer: Qcow2Writer, flight: Flight, write: CowWrite, host: number, reuse: boolean, writing: Promise<void>): Promise<void> {
  const { image } = writer
  const { clusterSize, externalData } = image
  try {
    await writing
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
