import type { Attempt, ChildHandle, ChildSlot, Extent } from '@blockloom/block-driver'
import { corrupt, decodeHeader, decodeRecord, decodeTable, ENCODED, encodeHeader, encodeTable, pack, SECTOR, unpack, ZERO, type Header, type SnapshotRecord } from './on-disk.ts'

/** Host offset of an entry, 0 if it has none. */
export function hostOf(entry: number): number {
  return entry - (entry % SECTOR)
}

/**
 * A small clustered format, done right. Entries are changed in memory and reach the table only when what they point at is
 * stable; clusters that they no longer point at are used again only after that. Broken drivers override one method each.
 */
export class ToyImage {
  readonly file: ChildHandle
  readonly backing: ChildSlot
  readonly readOnly: boolean
  header!: Header
  entries: number[] = []
  snapshots: SnapshotRecord[] = []
  snapshotTables: number[][] = []
  /** References to each data cluster, from the disk and from snapshots. */
  refs = new Map<number, number>()
  free: number[] = []
  /** No longer used, but the table on disk may still say so. */
  released: number[] = []
  dirty = new Set<number>()
  end = 0
  readonly #locks = new Map<number | string, Promise<unknown>>()

  constructor(file: ChildHandle, backing: ChildSlot, readOnly: boolean) {
    this.file = file
    this.backing = backing
    this.readOnly = readOnly
  }

  get cluster(): number {
    return 2 ** this.header.clusterBits
  }

  get clusters(): number {
    return Math.ceil(this.header.size / this.cluster)
  }

  async load(tolerant = false): Promise<void> {
    const fileSize = await this.file.size()
    const head = new Uint8Array(SECTOR)
    await this.file.read(0, head)
    this.header = decodeHeader(head, fileSize)
    this.entries = await this.readTable(this.header.tableOffset, this.header.tableEntries)
    this.snapshots = []
    this.snapshotTables = []
    for (let i = 0; i < this.header.snapshots; i++) {
      const record = new Uint8Array(SECTOR)
      await this.file.read(this.header.directoryOffset + i * SECTOR, record)
      const snapshot = decodeRecord(record)
      if (snapshot.tableOffset + this.header.tableEntries * 8 > fileSize) throw corrupt('table offset of a snapshot')
      this.snapshots.push(snapshot)
      this.snapshotTables.push(await this.readTable(snapshot.tableOffset, Math.ceil(snapshot.size / this.cluster)))
    }
    this.dirty.clear()
    this.entries.forEach((entry, i) => {
      // Left over from a shrink that power loss cut off.
      if (i >= this.clusters && entry !== 0) this.setEntry(i, 0)
    })
    this.end = Math.ceil(fileSize / this.cluster) * this.cluster
    this.free = []
    this.released = []
    this.countReferences(tolerant)
  }

  async readTable(offset: number, count: number): Promise<number[]> {
    if (count > this.header.tableEntries) throw corrupt('size of a snapshot')
    const bytes = new Uint8Array(count * 8)
    await this.file.read(offset, bytes)
    return decodeTable(bytes)
  }

  countReferences(tolerant: boolean): void {
    this.refs = new Map()
    for (const table of [this.entries, ...this.snapshotTables]) {
      for (const entry of table) {
        const host = hostOf(entry)
        if (host === 0) continue
        const sound = host % this.cluster === 0 && host + this.cluster <= this.end && entry % SECTOR <= 3
        if (!sound && !tolerant) throw corrupt(`table entry ${entry}`)
        this.refs.set(host, (this.refs.get(host) ?? 0) + 1)
      }
    }
  }

  /** One after the other for each key. */
  async locked<T>(key: number | string, work: () => Promise<T>): Promise<T> {
    const before = this.#locks.get(key) ?? Promise.resolve()
    const mine = before.then(work, work)
    const settled = mine.catch(() => {})
    this.#locks.set(key, settled)
    try {
      return await mine
    } finally {
      if (this.#locks.get(key) === settled) this.#locks.delete(key)
    }
  }

  /** The parts of a range, cluster by cluster: guest index, start in the cluster, start in the request, bytes. */
  *parts(offset: number, bytes: number): Generator<[number, number, number, number]> {
    for (let at = 0; at < bytes; ) {
      const start = (offset + at) % this.cluster
      const length = Math.min(this.cluster - start, bytes - at)
      yield [Math.floor((offset + at) / this.cluster), start, at, length]
      at += length
    }
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    for (const [index, start, at, bytes] of this.parts(offset, into.length)) {
      await this.locked(index, () => this.readPart(index, start, into.subarray(at, at + bytes)))
    }
  }

  async readPart(index: number, start: number, into: Uint8Array): Promise<void> {
    await this.readEntry(this.entries[index]!, index, start, into)
  }

  async readEntry(entry: number, index: number, start: number, into: Uint8Array): Promise<void> {
    const host = hostOf(entry)
    if (entry % 2 === ZERO) into.fill(0)
    else if (host === 0) await this.readBacking(index * this.cluster + start, into)
    else if (entry % SECTOR === ENCODED) {
      const packed = new Uint8Array(this.cluster)
      await this.file.read(host, packed)
      const whole = new Uint8Array(this.cluster)
      unpack(packed, whole)
      into.set(whole.subarray(start, start + into.length))
    } else await this.file.read(host + start, into)
  }

  async readBacking(offset: number, into: Uint8Array): Promise<void> {
    into.fill(0)
    const bytes = Math.min(into.length, this.header.size - offset)
    if (bytes > 0) await this.backing.current?.read(offset, into.subarray(0, bytes))
  }

  async write(offset: number, from: Uint8Array): Promise<void> {
    for (const [index, start, at, bytes] of this.parts(offset, from.length)) {
      await this.locked(index, () => this.writePart(index, start, from.subarray(at, at + bytes)))
    }
  }

  async writePart(index: number, start: number, from: Uint8Array): Promise<void> {
    const entry = this.entries[index]!
    const host = hostOf(entry)
    if (host !== 0 && entry === host && this.refs.get(host) === 1) {
      await this.file.write(host + start, from)
      return
    }
    const whole = new Uint8Array(this.cluster)
    await this.readPart(index, 0, whole)
    whole.set(from, start)
    await this.replace(index, whole, 0)
  }

  /** Writes a cluster to a new place and points the entry at it. */
  async replace(index: number, whole: Uint8Array, flags: number): Promise<void> {
    const host = this.allocate()
    try {
      await this.file.write(host, whole)
    } catch (error) {
      this.free.push(host)
      throw error
    }
    this.refs.set(host, 1)
    this.point(index, host + flags)
  }

  allocate(): number {
    const reused = this.free.pop()
    if (reused !== undefined) return reused
    const host = this.end
    this.end += this.cluster
    return host
  }

  /** Changes an entry and lets go of what it pointed at. */
  point(index: number, entry: number): void {
    const old = hostOf(this.entries[index]!)
    this.setEntry(index, entry)
    if (old !== 0 && old !== hostOf(entry)) this.release(old)
  }

  setEntry(index: number, entry: number): void {
    this.entries[index] = entry
    this.dirty.add(index)
  }

  release(host: number): void {
    const refs = this.refs.get(host)! - 1
    if (refs > 0) this.refs.set(host, refs)
    else {
      this.refs.delete(host)
      this.released.push(host)
    }
  }

  async writeCompressed(offset: number, from: Uint8Array): Promise<void> {
    const index = Math.floor(offset / this.cluster)
    await this.locked(index, async () => {
      const whole = new Uint8Array(this.cluster)
      whole.set(from)
      const packed = pack(whole, this.cluster)
      if (packed === undefined) return this.replace(index, whole, 0)
      const stored = new Uint8Array(this.cluster)
      stored.set(packed)
      return this.replace(index, stored, ENCODED)
    })
  }

  async zero(offset: number, bytes: number): Promise<Attempt> {
    for (const [index, start, , length] of this.parts(offset, bytes)) {
      await this.locked(index, () => this.zeroPart(index, start, length))
    }
    return 'done'
  }

  async zeroPart(index: number, start: number, bytes: number): Promise<void> {
    const isWhole = start === 0 && (bytes === this.cluster || index * this.cluster + bytes === this.header.size)
    if (isWhole) this.point(index, ZERO)
    else await this.writePart(index, start, new Uint8Array(bytes))
  }

  async discard(offset: number, bytes: number): Promise<Attempt> {
    for (const [index, start, , length] of this.parts(offset, bytes)) {
      // A part of a cluster stays.
      if (start === 0 && length === this.cluster) await this.locked(index, async () => this.point(index, this.backing.current ? ZERO : 0))
    }
    return 'done'
  }

  async makeEmpty(): Promise<void> {
    for (let index = 0; index < this.clusters; index++) await this.locked(index, async () => this.point(index, 0))
    await this.flush()
  }

  flush(): Promise<void> {
    return this.locked('flush', async () => {
      const dirty = [...this.dirty].sort((a, b) => a - b).map((index) => [index, this.entries[index]!] as const)
      const releasing = this.released
      this.dirty.clear()
      this.released = []
      try {
        await this.commit(dirty)
        this.free.push(...releasing)
      } catch (error) {
        for (const [index] of dirty) this.dirty.add(index)
        this.released = [...releasing, ...this.released]
        throw error
      }
    })
  }

  /** First what the entries point at, then the entries. */
  async commit(dirty: readonly (readonly [number, number])[]): Promise<void> {
    await this.file.flush('stable')
    if (dirty.length === 0) return
    await this.writeEntries(dirty)
    await this.file.flush('stable')
  }

  async writeEntries(dirty: readonly (readonly [number, number])[]): Promise<void> {
    for (const [index, entry] of dirty) await this.file.write(this.header.tableOffset + index * 8, encodeTable([entry]))
  }

  async writeHeader(change: Partial<Header>): Promise<void> {
    const next = { ...this.header, ...change }
    await this.file.flush('stable')
    await this.file.write(0, encodeHeader(next))
    this.header = next
    await this.file.flush('stable')
  }

  async extents(offset: number, bytes: number): Promise<Extent> {
    const [index, start, , length] = this.parts(offset, bytes).next().value!
    return this.extentOf(this.entries[index]!, start, length)
  }

  extentOf(entry: number, start: number, bytes: number): Extent {
    const host = hostOf(entry)
    if (entry % 2 === ZERO) return { kind: 'zero', bytes }
    if (host === 0) return { kind: 'absent', bytes }
    if (entry % SECTOR === ENCODED) return { kind: 'encoded', bytes, compressed: true }
    return { kind: 'data', bytes, host: { child: this.file, offset: host + start } }
  }

  /** Room at the end of the file for metadata. */
  allocateRun(bytes: number): number {
    const offset = this.end
    this.end += Math.ceil(bytes / this.cluster) * this.cluster
    return offset
  }

  async close(): Promise<void> {}
}
