import { BlockError, DONE, type ChildHandle, type ChildSlot } from '@blockloom/block-driver'
import type { CompressedReader } from './compressed-read.ts'
import type { PackedCluster } from './compressed-spans.ts'
import { readEncrypted } from './encryption/encrypted-data.ts'
import type { Encryption } from './encryption/encryption.ts'
import type { Mapper } from './mapper.ts'
import { settle, settleAll } from './settle.ts'

/** What reading needs of an image. @internal */
export interface ReadSource {
  readonly clusterSize: number
  /** Where guest clusters are; null if the image was opened for metadata only. */
  readonly dataFile: ChildHandle | null
  readonly encryption: Pick<Encryption, 'cipher'> | null
  readonly backing: ChildSlot
  readonly compressed: CompressedReader
}

/**
 * Reads guest bytes through a mapper.
 *
 * Each run is one request to one child, straight into the caller's buffer, and all runs are in flight together. If
 * everything is one run and its L2 slice is cached, that request's own promise is returned; if all runs are done in
 * this turn, {@link DONE}.
 *
 * @internal
 */
export function readGuest(source: ReadSource, mapper: Mapper, offset: number, into: Uint8Array): Promise<void> {
  try {
    if (mapper.lookup(offset, offset + into.length) && mapper.bytes === into.length) return readRun(source, mapper, offset, into)
  } catch (error) {
    return Promise.reject(error)
  }
  const runs: Runs = { requests: [], packed: [] }
  try {
    const started = startRuns(source, mapper, offset, into, 0, runs)
    if (started === into.length && runs.packed.length === 0 && runs.requests.length === 0) return DONE
    return readRest(source, mapper, offset, into, started, runs)
  } catch (error) {
    return settleAll([...runs.requests, Promise.reject(error)])
  }
}

/** What is under way, and the compressed clusters that are still to be read. */
interface Runs {
  readonly requests: Promise<void>[]
  readonly packed: PackedCluster[]
}

/** Starts the runs from `done` on, as long as their L2 slices are cached; returns up to where. */
function startRuns(source: ReadSource, mapper: Mapper, offset: number, into: Uint8Array, done: number, { requests, packed }: Runs): number {
  let at = done
  while (at < into.length && mapper.lookup(offset + at, offset + into.length)) {
    const { bytes } = mapper
    const part = into.subarray(at, at + bytes)
    if (mapper.kind === 'compressed' && bytes === source.clusterSize) packed.push({ hi: mapper.hi, lo: mapper.lo, into: part })
    else {
      const request = readRun(source, mapper, offset + at, part)
      if (request !== DONE) requests.push(settle(request))
    }
    at += bytes
  }
  return at
}

async function readRest(source: ReadSource, mapper: Mapper, offset: number, into: Uint8Array, started: number, runs: Runs): Promise<void> {
  const { requests, packed } = runs
  try {
    for (let done = started; done < into.length; ) {
      await mapper.load(offset + done)
      done = startRuns(source, mapper, offset, into, done, runs)
    }
    if (packed.length > 0) requests.push(settle(source.compressed.readAll(packed)))
  } catch (error) {
    requests.push(Promise.reject(error))
  }
  await settleAll(requests)
}

/** Reads the run that the mapper has just found; it starts at guest offset `at` and is as long as `into`. */
function readRun(source: ReadSource, mapper: Mapper, at: number, into: Uint8Array): Promise<void> {
  switch (mapper.kind) {
    case 'data': {
      const file = source.dataFile ?? noDataFile()
      if (source.encryption === null) return file.read(mapper.host, into)
      return readEncrypted(file, source.encryption.cipher!, at, mapper.host, into)
    }
    case 'zero':
    case 'zero-alloc':
      into.fill(0)
      return DONE
    case 'absent': {
      const backing = source.backing.current
      if (backing !== null) return backing.read(at, into)
      into.fill(0)
      return DONE
    }
    case 'compressed':
      return source.compressed.read(mapper.hi, mapper.lo, at % source.clusterSize, into)
  }
}

function noDataFile(): never {
  throw new BlockError('unsupported', 'The image was opened for its metadata only; its data file is not open')
}
