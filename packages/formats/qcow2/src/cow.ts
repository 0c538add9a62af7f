import { writeEncrypted, writeEncryptedZeroes } from './encryption/encrypted-data.ts'
import type { Qcow2Image } from './image.ts'
import { readGuest } from './read.ts'
import { settle, settleAll } from './settle.ts'

/** Up to this many bytes are put together in memory and written at once; above, the parts are written on their own. */
const MERGE_BYTES = 256 * 1024

/** A write to clusters that nobody reads from yet. @internal */
export interface CowWrite {
  /** Guest offset of `data`. */
  readonly at: number
  readonly data: Uint8Array
  /** Guest offsets: what lies between them and `data` keeps its contents. */
  readonly cowStart: number
  readonly cowEnd: number
  /** Host offset of `cowStart`. */
  readonly host: number
  /** The host clusters read as zeroes. */
  readonly virgin: boolean
}

/**
 * Writes data and, around it, what the guest could read there before.
 *
 * @internal
 */
export function writeWithCow(image: Qcow2Image, write: CowWrite): Promise<void> {
  const { at, data, cowStart, cowEnd, host } = write
  if (cowStart === at && cowEnd === at + data.length) return writeData(image, at, host, data)
  return writeMore(image, write)
}

async function writeMore(image: Qcow2Image, write: CowWrite): Promise<void> {
  const dataFile = image.dataFile!
  const cipher = image.encryption?.cipher ?? null
  const { at, data, cowStart, cowEnd, host } = write
  // Zeroes in the file are none of an encrypted disk.
  const virgin = write.virgin && cipher === null
  const end = at + data.length
  const headIsZero = cowStart === at || readsAsZero(image, cowStart, at)
  const tailIsZero = cowEnd === end || readsAsZero(image, end, cowEnd)
  // Where nothing was ever stored, zeroes need not be written.
  const from = virgin && headIsZero ? at : cowStart
  // A data file ends where the disk ends; there, host and guest offsets are the same.
  const to = virgin && tailIsZero ? end : image.externalData ? Math.max(end, Math.min(cowEnd, image.header.size)) : cowEnd
  if (from === at && to === end) {
    await writeData(image, at, host + (at - cowStart), data)
    return
  }
  if (to - from <= MERGE_BYTES) {
    const merged = new Uint8Array(to - from)
    const reads: Promise<void>[] = []
    if (!headIsZero) reads.push(settle(readGuest(image, image.mapper, from, merged.subarray(0, at - from))))
    if (!tailIsZero) reads.push(settle(readGuest(image, image.mapper, end, merged.subarray(end - from))))
    merged.set(data, at - from)
    await settleAll(reads)
    cipher?.encrypt(merged, from, host + (from - cowStart))
    await dataFile.write(host + (from - cowStart), merged)
    return
  }
  await settleAll([
    settle(writeData(image, at, host + (at - cowStart), data)),
    settle(copy(image, from, at, host + (from - cowStart), headIsZero)),
    settle(copy(image, end, to, host + (end - cowStart), tailIsZero)),
  ])
}

/** Writes guest data to its host clusters, encrypted if the image is; `from` stays as it is. @internal */
export function writeData({ dataFile, encryption }: Qcow2Image, guest: number, host: number, from: Uint8Array): Promise<void> {
  if (encryption === null) return dataFile!.write(host, from)
  return writeEncrypted(dataFile!, encryption.cipher!, guest, host, from)
}

async function copy(image: Qcow2Image, from: number, to: number, host: number, isZero: boolean): Promise<void> {
  const dataFile = image.dataFile!
  const cipher = image.encryption?.cipher ?? null
  if (from === to) return
  if (isZero) {
    await (cipher === null ? dataFile.zero(host, to - from) : writeEncryptedZeroes(dataFile, cipher, from, host, to - from))
    return
  }
  const old = new Uint8Array(to - from)
  await readGuest(image, image.mapper, from, old)
  cipher?.encrypt(old, from, host)
  await dataFile.write(host, old)
}

/** True if a range is known to be zeroes without reading it. */
function readsAsZero(image: Qcow2Image, from: number, to: number): boolean {
  const { mapper, backing } = image
  for (let at = from; at < to; at += mapper.bytes) {
    if (!mapper.lookup(at, to)) return false
    const isZero = mapper.kind === 'zero' || mapper.kind === 'zero-alloc' || (mapper.kind === 'absent' && backing.current === null)
    if (!isZero) return false
  }
  return true
}
