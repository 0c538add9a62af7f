import { MemoryChild } from './memory-child.ts'
import type { Random } from './random.ts'

/** Where the metadata of an image is, for tests that break it. */
class Metadata {
  readonly view: DataView
  readonly cluster: number
  readonly content: Uint8Array

  constructor(content: Uint8Array) {
    this.content = content
    this.view = new DataView(content.buffer, content.byteOffset, content.byteLength)
    this.cluster = 2 ** this.view.getUint32(20)
  }

  u64(at: number): bigint {
    return at + 8 <= this.content.length ? this.view.getBigUint64(at) : 0n
  }

  offset(at: number): number {
    return Number(this.u64(at) & 0x00ff_ffff_ffff_fe00n)
  }

  /** All L1 tables: where, and how many entries. */
  l1s(): [at: number, entries: number][] {
    const tables: [number, number][] = [[this.offset(40), this.view.getUint32(36)]]
    let at = this.offset(64)
    for (let i = this.view.getUint32(60); i > 0 && at + 40 <= this.content.length; i--) {
      tables.push([this.offset(at), this.view.getUint32(at + 8)])
      const length = 40 + this.view.getUint32(at + 36) + this.view.getUint16(at + 12) + this.view.getUint16(at + 14)
      at += Math.ceil(length / 8) * 8
    }
    return tables
  }

  /** Places of 64-bit entries that say where something is. */
  entries(): number[] {
    const { cluster, content } = this
    const wide = (this.view.getUint32(76) & 16) !== 0 ? 16 : 8
    const places: number[] = []
    for (const [at, entries] of this.l1s()) {
      for (let i = 0; i < Math.min(entries, 4096); i++) {
        places.push(at + i * 8)
        const l2 = this.offset(at + i * 8)
        if (l2 === 0 || l2 + cluster > content.length) continue
        // Mostly entries in use, and a few that are not.
        let spare = 3
        for (let place = l2; place < l2 + cluster; place += wide) {
          if (this.u64(place) !== 0n || spare-- > 0) places.push(place)
          if (wide === 16 && this.u64(place) !== 0n) places.push(place + 8)
        }
      }
    }
    return places
  }

  /** Where the entries of the snapshot table are. */
  snapshots(): number[] {
    const found: number[] = []
    let at = this.offset(64)
    for (let i = this.view.getUint32(60); i > 0 && at + 40 <= this.content.length; i--) {
      found.push(at)
      const length = 40 + this.view.getUint32(at + 36) + this.view.getUint16(at + 12) + this.view.getUint16(at + 14)
      at += Math.ceil(length / 8) * 8
    }
    return found
  }

  /** Where entries of bitmap tables are. */
  bitmapEntries(): number[] {
    const found: number[] = []
    let at = 112
    while (this.view.getUint32(at) !== 0x2385_2875) {
      if (this.view.getUint32(4) < 3 || this.view.getUint32(at) === 0) return []
      at += 8 + Math.ceil(this.view.getUint32(at + 4) / 8) * 8
    }
    let entry = Number(this.u64(at + 24))
    for (let i = this.view.getUint32(at + 8); i > 0; i--) {
      const table = this.offset(entry)
      for (let k = 0; k < this.view.getUint32(entry + 8); k++) found.push(table + k * 8)
      entry += Math.ceil((24 + this.view.getUint16(entry + 18)) / 8) * 8
    }
    return found
  }

  refcountBlocks(): number[] {
    const table = this.offset(48)
    const blocks: number[] = []
    for (let at = table; at < table + this.cluster; at += 8) if (this.offset(at) !== 0) blocks.push(this.offset(at))
    return blocks.length === 0 ? [table] : blocks
  }
}

/** Damages the metadata of an image in one to three places. */
export function corrupt(image: Uint8Array, random: Random): MemoryChild {
  const child = new MemoryChild({ content: image })
  const metadata = new Metadata(child.content)
  for (let i = 1 + random.below(3); i > 0; i--) damage(metadata, random)
  if (random.chance(0.05)) return new MemoryChild({ content: child.content.subarray(0, child.content.length - random.below(3 * metadata.cluster)) })
  return child
}

/** Damages the metadata of an image in `times` places, also what leads to tables: snapshots, bitmaps, the header. */
export function corruptBadly(image: Uint8Array, random: Random, times: number): MemoryChild {
  const child = new MemoryChild({ content: image })
  const metadata = new Metadata(child.content)
  for (let i = 0; i < times; i++) {
    const kind = random.below(20)
    if (kind === 0) damageSnapshots(metadata, random)
    else if (kind === 1) damageBitmaps(metadata, random)
    else if (kind === 2) damageHeader(metadata, random)
    else damage(metadata, random)
  }
  if (random.chance(0.08)) return new MemoryChild({ content: child.content.subarray(0, child.content.length - random.below(4 * metadata.cluster)) })
  return child
}

/** A field of the snapshot table. */
function damageSnapshots(metadata: Metadata, random: Random): void {
  const { view } = metadata
  const entries = metadata.snapshots()
  if (entries.length === 0) return
  const at = random.pick(entries)
  switch (random.below(5)) {
    case 0:
      return view.setBigUint64(at, damaged(view.getBigUint64(at), metadata, random))
    case 1:
      return view.setUint32(at + 8, random.pick([0, 1, 2, 100, 0x7000_0000]))
    case 2:
      return view.setUint32(at + 36, random.pick([0, 8, 16, 24, 32, 2000, 100_000]))
    case 3:
      return view.setUint32(60, Math.max(0, view.getUint32(60) + random.below(4) - 1))
    default:
      return view.setUint16(at + 12 + 2 * random.below(2), random.below(40))
  }
}

/** An entry of a bitmap table. */
function damageBitmaps(metadata: Metadata, random: Random): void {
  const { view, content } = metadata
  const places = metadata.bitmapEntries()
  if (places.length === 0) return
  const at = random.pick(places)
  if (at + 8 <= content.length) view.setBigUint64(at, damaged(view.getBigUint64(at), metadata, random))
}

/** Where the header says that a table is. */
function damageHeader({ view, cluster, content }: Metadata, random: Random): void {
  const clusters = Math.floor(content.length / cluster)
  const at = random.pick([48, 48, 64])
  if (at === 64 && view.getUint32(60) === 0) return
  view.setBigUint64(at, BigInt(random.below(clusters + 4) * cluster))
}

function damage(metadata: Metadata, random: Random): void {
  const { view, cluster, content } = metadata
  const kind = random.below(12)
  if (kind < 3) {
    // A refcount.
    const block = random.pick(metadata.refcountBlocks())
    const used = Math.min(cluster, Math.ceil(content.length / cluster) * 8)
    const at = block + random.below(used)
    if (at < content.length) content[at] = random.chance(0.3) ? 0 : random.chance(0.5) ? content[at]! ^ (1 << random.below(8)) : random.below(256)
    return
  }
  if (kind === 3) {
    // A refcount table entry.
    const at = metadata.offset(48) + 8 * (random.chance(0.6) ? 0 : random.below(4))
    if (at + 8 <= content.length) view.setBigUint64(at, damaged(view.getBigUint64(at), metadata, random))
    return
  }
  const places = metadata.entries()
  if (places.length === 0) return
  const at = random.pick(places)
  if (kind === 4) {
    const other = random.pick(places)
    if (other + 8 <= content.length && at + 8 <= content.length) view.setBigUint64(at, view.getBigUint64(other))
  } else if (at + 8 <= content.length) view.setBigUint64(at, damaged(view.getBigUint64(at), metadata, random))
}

function damaged(entry: bigint, { cluster, content }: Metadata, random: Random): bigint {
  const flags = entry & 0xff00_0000_0000_0001n
  switch (random.below(10)) {
    case 0:
      return 0n
    case 1:
      return entry ^ (1n << BigInt(random.below(64)))
    case 2:
      return entry ^ 0x8000_0000_0000_0000n
    case 3:
      return entry + 512n
    case 4:
      return flags | BigInt(Math.floor(random.below(content.length) / cluster) * cluster)
    case 5:
      return flags | BigInt((Math.ceil(content.length / cluster) + random.below(5)) * cluster)
    case 6:
      return entry ^ (1n << BigInt(random.below(9)))
    case 7:
      return entry ^ (1n << BigInt(50 + random.below(14)))
    case 8:
      return (BigInt(random.below(2 ** 32)) << 32n) | BigInt(random.below(2 ** 32))
    default:
      return entry ^ 0x4000_0000_0000_0000n
  }
}
