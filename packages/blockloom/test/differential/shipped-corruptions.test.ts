// What other qcow2 writers have shipped, and where it is looked for here. Each test ends with the reference's check and
// with a look at the bytes through the reference.
//
// - an L2 table that a snapshot shares is changed in place: corruption.test.ts
// - a compressed cluster is overwritten in place: corruption.test.ts
// - a refcount table with holes is taken for a dense one: corruption.test.ts
// - extended L2 entries are read as entries of 8 bytes: corruption.test.ts
// - the zero flag is ignored: corruption.test.ts
// - refcount blocks that the table has room for, or that an empty image has more of than it needs, are not written: below
// - a freed cluster is discarded in the file after it has been used again: corruption.test.ts, and below for all the
//   options that discard
// - committing an overlay empties it, and takes its LUKS header or its bitmaps along: below
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { oracleAvailable, SeededRandom, withTempFolder } from '@blockloom/oracle'
import { commitImage, createImage, openImage, type DiskImage } from 'blockloom'
import { describe, expect, test } from 'vitest'
import { assertSameBytes } from './compare.ts'
import { contentBytes } from './content.ts'
import { assertClean, assertReferenceSees } from './reference.ts'
import { mustRun } from './run-tool.ts'
import { discard, Scenario, write, zero } from './scenario.ts'
import { BASE_SEED } from './sequences.ts'

const KIB = 1024
const MIB = KIB * KIB

describe.runIf(oracleAvailable())('refcount blocks', () => {
  /** Where the refcount table says that blocks are, and the length of the file. */
  function blocksOf(path: string): { readonly blocks: number[]; readonly size: number } {
    const bytes = readFileSync(path)
    const table = Number(bytes.readBigUInt64BE(48))
    const entries = (bytes.readUInt32BE(56) * 2 ** bytes.readUInt32BE(20)) / 8
    return { blocks: Array.from({ length: entries }, (_, i) => Number(bytes.readBigUInt64BE(table + 8 * i))).filter((block) => block !== 0), size: bytes.length }
  }

  // With clusters of 512 bytes a block of 16-bit refcounts counts 128 KiB: these images need many of them at once.
  test.each([
    ['cluster_size=512', { cluster_size: 512 }],
    ['64-bit refcounts', { cluster_size: 512, refcount_bits: 64 }],
    ['preallocated', { cluster_size: 512, preallocation: 'metadata' }],
    ['preallocated in full', { cluster_size: 512, preallocation: 'full' }],
    ['1-bit refcounts, preallocated', { cluster_size: 1024, refcount_bits: 1, preallocation: 'falloc' }],
  ])('of a new image are all on disk, and so are those that come later (%s)', async (_, options) => {
    await withTempFolder(async (folder) => {
      const path = join(folder, 'new.qcow2')
      const size = 3 * MIB
      await createImage(path, { format: 'qcow2', size, options })
      await assertClean(path)
      await assertReferenceSees(new Uint8Array(size), path, 'qcow2')
      const created = blocksOf(path)
      for (const block of created.blocks) expect(block + options.cluster_size).toBeLessThanOrEqual(created.size)
      const expected = new Uint8Array(size)
      for (const [at, bytes] of [[5, 700_000], [MIB + 1, 1], [2 * MIB, MIB]] as const) {
        await using disk = await openImage(path, { format: 'qcow2', write: true })
        const data = contentBytes('noise', bytes)
        await disk.write(at, data)
        expected.set(data, at)
        await disk.close()
        const { blocks, size: length } = blocksOf(path)
        for (const block of blocks) expect(block + options.cluster_size).toBeLessThanOrEqual(length)
        await assertClean(path)
      }
      await assertReferenceSees(expected, path, 'qcow2')
    })
  })

  test('that the reference made room for, in a table that is longer than it needs to be', async () => {
    // Its table grows by more than it needs; shrinking leaves the room.
    await Scenario.run(8 * MIB, 'cluster_size=512', async (s) => {
      await s.byReference(write(0, 8 * MIB), { kind: 'resize', size: 256 * KIB })
      await s.verify()
      await s.byUs({ kind: 'resize', size: 4 * MIB }, write(256 * KIB, 3 * MIB, 'text'))
      await s.verify()
      await s.byReference(write(3 * MIB + 256 * KIB, 500 * KIB))
      await s.verify()
    })
  })
})

describe.runIf(oracleAvailable())('a freed cluster is not discarded once it is used again', () => {
  const MODES = [
    { 'pass-discard-other': true },
    { 'discard-no-unref': true },
    { 'discard-no-unref': true, 'pass-discard-other': true },
    { 'pass-discard-other': true, 'overlap-check': 'all', 'l2-cache-size': 0, 'refcount-cache-size': 0, 'cache-clean-interval': 0 },
  ]
  test.each(MODES)('%j', async (options) => {
    const cluster = 4 * KIB
    const clusters = 256
    await Scenario.run(clusters * cluster, `cluster_size=${cluster}`, async (s) => {
      const random = new SeededRandom(BASE_SEED + 3200)
      const spec = `json:${JSON.stringify({ driver: 'qcow2', file: { driver: 'file', filename: s.file }, discard: 'unmap', ...options })}`
      const disk = await openImage(spec, { format: 'qcow2', write: true })
      for (let round = 0; round < 40; round++) {
        const order = Array.from({ length: clusters }, (_, i) => i).sort(() => random.next() - 0.5)
        const work = order.slice(0, 60).map(async (i, at) => {
          const offset = i * cluster
          if (at % 4 === 0) {
            await disk.node.discard(offset, cluster)
            s.note(discard(offset, cluster))
          } else if (at % 4 === 1) {
            await disk.node.zero(offset, cluster, 0)
            s.note(zero(offset, cluster))
          } else {
            const byte = 1 + random.below(255)
            if (at % 4 === 2) await disk.write(offset, contentBytes(byte, cluster))
            else await disk.node.writeCompressed(offset, contentBytes(byte, cluster))
            s.note(write(offset, cluster, byte))
          }
        })
        if (round % 3 === 0) work.push(disk.flush())
        await Promise.all(work)
        if (round === 20) await takeAndRemoveSnapshot(disk)
      }
      assertSameBytes(await disk.read(0, disk.size), s.expected)
      await disk.close()
      await s.verify()
    })
  })

  async function takeAndRemoveSnapshot(disk: DiskImage): Promise<void> {
    const { id } = await disk.node.snapshots!.create!({ name: 'for a moment' })
    await disk.write(0, await disk.read(0, 4 * KIB))
    await disk.node.snapshots!.remove!(id)
  }
})

describe.runIf(oracleAvailable())('committing an overlay', () => {
  const SIZE = 4 * MIB
  const SECRET = ['--object', 'secret,id=s,data=geheim']

  interface Overlay {
    readonly path: string
    readonly base: string
    readonly expected: Uint8Array
    /** What qemu-img is told to find it. */
    readonly named: readonly string[]
    open(): Promise<DiskImage>
  }

  /** An overlay over a raw image, with some of our data in it. */
  async function withOverlay(options: Readonly<Record<string, unknown>>, work: (overlay: Overlay) => Promise<void>): Promise<void> {
    await withTempFolder(async (folder) => {
      const [base, path] = [join(folder, 'base.raw'), join(folder, 'overlay.qcow2')]
      const isLuks = options['encrypt.format'] === 'luks'
      await mustRun('qemu-img', ['create', '-q', '-f', 'raw', base, String(SIZE)])
      await mustRun('qemu-io', ['-f', 'raw', '-c', `write -P 0x33 0 ${SIZE}`, base])
      // Not by the reference, which cannot measure how fast it derives keys while others use the processor.
      await createImage(path, { format: 'qcow2', size: SIZE, options: { ...options, backing_file: base, backing_fmt: 'raw' }, secrets: { s: 'geheim' } })
      const spec = `json:${JSON.stringify({ driver: 'qcow2', file: { driver: 'file', filename: path }, ...(isLuks ? { 'encrypt.key-secret': 's' } : {}) })}`
      const open = (): Promise<DiskImage> => openImage(spec, { format: 'qcow2', write: true, implicit: 'allow', secrets: { s: 'geheim' } })
      const expected = new Uint8Array(SIZE).fill(0x33)
      const disk = await open()
      for (const [at, bytes] of [[1000, 300_000], [2 * MIB + 512, 65536], [SIZE - 4096, 4096]] as const) {
        const data = contentBytes('noise', bytes)
        await disk.write(at, data)
        expected.set(data, at)
      }
      await disk.close()
      const named = isLuks ? [...SECRET, '--image-opts', `driver=qcow2,file.filename=${path},encrypt.key-secret=s`] : ['-f', 'qcow2', path]
      await work({ path, base, expected, named, open })
    })
  }

  async function verify({ base, expected, named }: Overlay): Promise<void> {
    await mustRun('qemu-img', ['check', ...named])
    await mustRun('qemu-img', ['convert', '-t', 'unsafe', '-O', 'raw', ...named, `${base}.read`])
    assertSameBytes(new Uint8Array(readFileSync(`${base}.read`)), expected)
    assertSameBytes(new Uint8Array(readFileSync(base)), expected)
  }

  test.each([{ 'encrypt.format': 'luks', 'encrypt.key-secret': 's', 'encrypt.iter-time': 0 }, {}])(
    'leaves its LUKS header alone (%j)',
    { timeout: 30_000 },
    async (options) => {
      await withOverlay(options, async (overlay) => {
        await commitImage(await overlay.open())
        await verify(overlay)
        // Empty, and as good as new.
        expect(JSON.parse(await mustRun('qemu-img', ['map', '--output=json', ...overlay.named]))).toEqual([expect.objectContaining({ start: 0, length: SIZE, depth: 1 })])
        await using disk = await overlay.open()
        const data = contentBytes('text', 100_000)
        await disk.write(77, data)
        overlay.expected.set(data, 77)
        assertSameBytes(await disk.read(0, SIZE), overlay.expected)
        await disk.close()
        await commitImage(await overlay.open())
        await verify(overlay)
      })
    },
  )

  test('leaves its bitmaps alone', async () => {
    await withOverlay({}, async (overlay) => {
      for (const [name, granularity] of [['b0', '64k'], ['b1', '4k']] as const) await mustRun('qemu-img', ['bitmap', '--add', '-g', granularity, overlay.path, name])
      const before = await bitmaps(overlay.path)
      expect(before).toHaveLength(2)
      await commitImage(await overlay.open())
      expect(await bitmaps(overlay.path)).toEqual(before)
      await verify(overlay)
      // The reference can still use them.
      await mustRun('qemu-io', ['-f', 'qcow2', '-c', 'write -P 5 1M 64k', overlay.path])
      overlay.expected.fill(5, MIB, MIB + 64 * KIB)
      await commitImage(await overlay.open())
      expect(await bitmaps(overlay.path)).toEqual(before)
      await verify(overlay)
      await mustRun('qemu-img', ['bitmap', '--remove', overlay.path, 'b0'])
      await assertClean(overlay.path)
    })
  })

  test('leaves its snapshots alone', async () => {
    await withOverlay({}, async (overlay) => {
      await mustRun('qemu-img', ['snapshot', '-q', '-c', 'before', overlay.path])
      const before = overlay.expected.slice()
      await commitImage(await overlay.open())
      await verify(overlay)
      await assertReferenceSees(before, overlay.path, 'qcow2', ['-l', 'snapshot.name=before'])
    })
  })

  async function bitmaps(path: string): Promise<unknown[]> {
    const info = JSON.parse(await mustRun('qemu-img', ['info', '--output=json', '-f', 'qcow2', path])) as { 'format-specific': { data: { bitmaps?: unknown[] } } }
    return info['format-specific'].data.bitmaps ?? []
  }
})
