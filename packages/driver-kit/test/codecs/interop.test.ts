import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as browser from '../../src/codecs/codecs.browser.ts'
import { zlibRaw, zstd } from '../../src/codecs/codecs.node.ts'
import { generator, sample } from './samples.ts'

const hasQemu = spawnSync('qemu-img', ['--version']).status === 0
const CLUSTER = 65536
const CLUSTERS = 24

/** The compressed clusters of a small qcow2 image with one L2 table (docs/interop/qcow2.txt, "Compressed Clusters Descriptor"). */
class Image {
  readonly bytes: Buffer
  readonly l2: number
  constructor(bytes: Buffer) {
    this.bytes = bytes
    this.l2 = Number(bytes.readBigUInt64BE(Number(bytes.readBigUInt64BE(40))) & 0x00fffffffffffe00n)
  }

  /** The sectors that a cluster's data lies in, with what else is in them; or `undefined` if it is not compressed. */
  compressed(index: number): Buffer | undefined {
    const entry = this.bytes.readBigUInt64BE(this.l2 + index * 8)
    if ((entry & (1n << 62n)) === 0n) return undefined
    const offset = Number(entry & ((1n << 54n) - 1n))
    const sectors = Number((entry >> 54n) & 0xffn)
    return this.bytes.subarray(offset, offset - (offset % 512) + (sectors + 1) * 512)
  }

  /** The image with other data for one compressed cluster, put behind its end. */
  withCluster(index: number, data: Uint8Array): Image {
    const offset = Math.ceil(this.bytes.length / CLUSTER) * CLUSTER
    const bytes = Buffer.alloc(offset + CLUSTER)
    this.bytes.copy(bytes)
    bytes.set(data, offset)
    const sectors = Math.ceil(data.length / 512) - 1
    bytes.writeBigUInt64BE((1n << 62n) | (BigInt(sectors) << 54n) | BigInt(offset), this.l2 + index * 8)
    return new Image(bytes)
  }
}

describe.skipIf(!hasQemu).each([
  ['zlib', zlibRaw(), [zlibRaw(), browser.zlibRaw()]],
  ['zstd', zstd(), [zstd()]],
] as const)('%s clusters of qcow2 images', (type, writer, readers) => {
  const folder = mkdtempSync(join(tmpdir(), 'blockloom-codecs-'))
  const raw = join(folder, 'disk.raw')
  const qcow2 = join(folder, 'disk.qcow2')
  const disk = new Uint8Array(CLUSTER * CLUSTERS)
  beforeAll(() => {
    const random = generator(99)
    for (let i = 0; i < CLUSTERS; i++) disk.set(sample(CLUSTER, random).map((byte) => (byte < 200 ? byte & 0x1f : byte)), i * CLUSTER)
    writeFileSync(raw, disk)
    execFileSync('qemu-img', ['convert', '-c', '-f', 'raw', '-O', 'qcow2', '-o', `compression_type=${type},cluster_size=${CLUSTER}`, raw, qcow2])
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  it('are read as qemu-img wrote them, from whole sectors', async () => {
    const image = new Image(readFileSync(qcow2))
    let seen = 0
    for (let i = 0; i < CLUSTERS; i++) {
      const data = image.compressed(i)
      if (data === undefined) continue
      seen++
      for (const reader of readers) {
        const into = new Uint8Array(CLUSTER)
        await reader.decompress(data, into)
        expect(Buffer.compare(into, disk.subarray(i * CLUSTER, (i + 1) * CLUSTER))).toBe(0)
      }
    }
    expect(seen).toBeGreaterThan(CLUSTERS / 2)
  })

  it('are read by qemu-img as we write them', async () => {
    let image = new Image(readFileSync(qcow2))
    for (let i = 0; i < CLUSTERS; i++) {
      if (image.compressed(i) === undefined) continue
      const packed = await writer.compress(disk.subarray(i * CLUSTER, (i + 1) * CLUSTER), CLUSTER - 1)
      image = image.withCluster(i, packed!)
    }
    const ours = join(folder, 'ours.qcow2')
    writeFileSync(ours, image.bytes)
    const back = join(folder, 'back.raw')
    execFileSync('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', ours, back])
    expect(Buffer.compare(readFileSync(back), disk)).toBe(0)
  })
})
