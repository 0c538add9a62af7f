import type { ChildHandle } from '@blockloom/block-driver'
import type { ClusterLayout } from './create-layout.ts'
import type { CreateSettings } from './create-settings.ts'
import { BatchWriter } from './create-writer.ts'
import type { DataCipher } from './encryption/data-cipher.ts'
import { writeEncryptedZeroes } from './encryption/encrypted-data.ts'
import { viewOf } from './on-disk/integers.ts'
import { setL1Entry } from './on-disk/l1.ts'
import { setL2Entry } from './on-disk/l2.ts'

/** Data clusters are placed in runs of what one such piece of an L2 table maps, as qemu-img does. */
const L2_SLICE_BYTES = 4096

/** @internal */
export interface PreallocateRequest {
  readonly file: ChildHandle
  readonly settings: CreateSettings
  readonly layout: ClusterLayout
  readonly l1Offset: number
  /** The file reads as zeroes where nothing was written. */
  readonly blank: boolean
  /** null if the image is not encrypted. */
  readonly cipher: DataCipher | null
  readonly signal: AbortSignal | undefined
}

/**
 * Gives every guest cluster a host cluster and writes the L1 and L2 tables that map them.
 *
 * With `metadata` L2 tables and the clusters that they map take turns; with `falloc` and `full` all data is one run,
 * which is allocated on the host at once. With an external data file guest and data offsets are the same.
 *
 * @internal
 */
export async function preallocate(request: PreallocateRequest): Promise<void> {
  const { file, settings, layout, l1Offset, cipher } = request
  const { geometry, size, l1Entries, version } = settings
  const { clusterSize, l2Entries } = geometry
  const clusters = Math.ceil(size / clusterSize)
  const data = await dataPlacer(request, clusters)
  // What is in the file now does not decrypt to zeroes: the entries have to say so, where they can.
  const isZero = cipher !== null && version >= 3 && !geometry.extendedL2
  const slice = Math.min(l2Entries, L2_SLICE_BYTES / geometry.l2EntrySize)
  const l1 = new Uint8Array(l1Entries * 8)
  const l1View = viewOf(l1)
  const batch = new BatchWriter(file)
  for (let index = 0; index < l1Entries; index++) {
    request.signal?.throwIfAborted()
    const place = layout.allocate(1)
    const table = new Uint8Array(clusterSize)
    const view = viewOf(table)
    const used = Math.min(l2Entries, clusters - index * l2Entries)
    for (let from = 0; from < used; from += slice) {
      const count = Math.min(slice, used - from)
      const guest = index * l2Entries + from
      const host = await data.place(guest, count)
      if (cipher !== null && version < 3) await writeEncryptedZeroes(file, cipher, guest * clusterSize, host * clusterSize, count * clusterSize)
      // Subclusters stay unallocated: they have a place, but the backing file, if any, is still seen.
      for (let i = 0; i < count; i++) setL2Entry(geometry, view, from + i, (host + i) * clusterSize, true, isZero)
    }
    await batch.write(place * clusterSize, table)
    setL1Entry(l1View, index, place * clusterSize, true)
  }
  await batch.finish()
  await data.finish()
  if (l1.length > 0) await file.write(l1Offset, l1)
}

/** Where data clusters go. */
interface DataPlacer {
  /** The host cluster for guest cluster `guest`; the next `count - 1` follow. */
  place(guest: number, count: number): number | Promise<number>
  /** Gives the file the length that its data needs. */
  finish(): Promise<void>
}

async function dataPlacer(request: PreallocateRequest, clusters: number): Promise<DataPlacer> {
  const { file, settings, layout, blank } = request
  const { features, preallocation, l1Entries } = settings
  const { clusterSize } = settings.geometry
  if (features.externalData) return { place: (guest) => guest, finish: async () => {} }
  if (preallocation !== 'metadata') {
    const first = layout.reserve(clusters, l1Entries)
    if (blank) await file.resize((first + clusters) * clusterSize, { preallocation })
    else await file.zero(first * clusterSize, clusters * clusterSize)
    return { place: (guest) => first + guest, finish: async () => {} }
  }
  let end = 0
  return {
    place: async (guest, count) => {
      const host = layout.allocate(count)
      end = dataEnd(settings, guest + count, host + count)
      if (!blank) await file.zero(host * clusterSize, end - host * clusterSize)
      return host
    },
    finish: async () => {
      if (blank && (await file.size()) < end) await file.resize(end)
    },
  }
}

/** Where the data of the last of some clusters ends in the file: the disk may end inside it. */
function dataEnd({ geometry, size }: CreateSettings, guestEnd: number, hostEnd: number): number {
  const { clusterSize, subclusterSize } = geometry
  const beyond = Math.max(0, guestEnd * clusterSize - size)
  return hostEnd * clusterSize - Math.floor(beyond / subclusterSize) * subclusterSize
}

