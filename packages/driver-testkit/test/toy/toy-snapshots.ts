import { BlockError, limits, type Instance, type SnapshotFacet, type SnapshotInfo } from '@blockloom/block-driver'
import { encodeRecord, encodeTable, MAX_SNAPSHOTS, SECTOR, type SnapshotRecord } from './on-disk.ts'
import { hostOf, type ToyImage } from './toy-image.ts'

export function snapshotsOf(image: ToyImage): SnapshotFacet {
  return {
    list: () => image.snapshots.map(infoOf),
    openReadOnly: async (select) => view(image, find(image, select)),
    ...(!image.readOnly && {
      create: ({ name }) => create(image, name),
      revert: (select) => revert(image, select),
      remove: (select) => remove(image, select),
    }),
  }
}

function infoOf(record: SnapshotRecord): SnapshotInfo {
  return { id: record.id, name: record.name, vmStateSize: 0, dateSec: 0, dateNsec: 0, vmClockNsec: 0, diskSize: record.size }
}

function find(image: ToyImage, select: string): number {
  const byId = image.snapshots.findIndex((one) => one.id === select)
  const index = byId >= 0 ? byId : image.snapshots.findIndex((one) => one.name === select)
  if (index < 0) throw new BlockError('not-found', `Can't find the snapshot '${select}'`)
  return index
}

function view(image: ToyImage, at: number): Instance {
  const { size } = image.snapshots[at]!
  const table = image.snapshotTables[at]!
  return {
    limits: limits({ clusterSize: image.cluster }),
    size: () => size,
    read: async (offset, into) => {
      for (const [index, start, from, bytes] of image.parts(offset, into.length)) {
        await image.readEntry(table[index]!, index, start, into.subarray(from, from + bytes))
      }
    },
    close: async () => {},
  }
}

async function create(image: ToyImage, name: string): Promise<SnapshotInfo> {
  if (image.snapshots.length === MAX_SNAPSHOTS) throw new BlockError('no-space', 'Too many snapshots')
  await image.flush()
  const table = image.entries.slice(0, image.clusters)
  const tableOffset = image.allocateRun(image.header.tableEntries * 8)
  const bytes = new Uint8Array(image.header.tableEntries * 8)
  bytes.set(encodeTable(table))
  await image.file.write(tableOffset, bytes)
  const id = String(1 + Math.max(0, ...image.snapshots.map((one) => Number(one.id))))
  const record = { id, name, size: image.header.size, tableOffset }
  await writeDirectory(image, [...image.snapshots, record])
  image.snapshotTables.push(table)
  image.countReferences(false)
  return infoOf(record)
}

async function revert(image: ToyImage, select: string): Promise<void> {
  const at = find(image, select)
  const table = image.snapshotTables[at]!
  await image.flush()
  await image.writeHeader({ size: image.snapshots[at]!.size })
  for (const entry of table) {
    const host = hostOf(entry)
    if (host !== 0) image.refs.set(host, image.refs.get(host)! + 1)
  }
  image.entries.forEach((_, index) => {
    const old = hostOf(image.entries[index]!)
    image.setEntry(index, table[index] ?? 0)
    if (old !== 0) image.release(old)
  })
  await image.flush()
}

async function remove(image: ToyImage, select: string): Promise<void> {
  const at = find(image, select)
  await image.flush()
  await writeDirectory(image, image.snapshots.filter((_, i) => i !== at))
  const [table] = image.snapshotTables.splice(at, 1)
  for (const entry of table!) if (hostOf(entry) !== 0) image.release(hostOf(entry))
  await image.flush()
}

/** Always to a new place: the old one stays valid until the header names the new one. */
async function writeDirectory(image: ToyImage, records: SnapshotRecord[]): Promise<void> {
  const directoryOffset = image.allocateRun(Math.max(1, records.length) * SECTOR)
  const bytes = new Uint8Array(Math.max(1, records.length) * SECTOR)
  records.forEach((record, i) => bytes.set(encodeRecord(record), i * SECTOR))
  await image.file.write(directoryOffset, bytes)
  await image.writeHeader({ directoryOffset, snapshots: records.length })
  image.snapshots = records
}
