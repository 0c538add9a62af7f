import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { oracleAvailable } from '@blockloom/oracle'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { checkJson, checkText } from '../src/output/check-result.ts'
import { prettyJson } from '../src/output/json.ts'
import { fixtureFolder } from './support/fixtures.ts'
import { ours, expectSame, reference, Twins, words } from './support/side-by-side.ts'

describe.runIf(oracleAvailable())('check finds what qemu-img finds', () => {
  let folder: string
  let twins: Twins
  beforeAll(() => void (folder = fixtureFolder()))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  test.each([
    'data.qcow2', 'empty.qcow2', 'nothing.qcow2', 'v2.qcow2', 'many.qcow2', 'zeroes.qcow2', 'ext.qcow2', 'over.qcow2', 'snap.qcow2', 'bitmap.qcow2', 'packed.qcow2',
    'leak.qcow2', 'corrupt.qcow2', 'dirty.qcow2', 'corruptbit.qcow2', 'datafile.qcow2', 'orphan.qcow2', 'data.raw', 'unknown.qcow2', 'l1.qcow2', 'absent',
  ])('%s', async (image) => {
    await expectSame(folder, ['check', image])
    await expectSame(folder, ['check', '--output=json', image])
    await expectSame(folder, ['check', '-q', image])
  })

  test.each(['data.qcow2', 'empty.qcow2', 'many.qcow2', 'snap.qcow2', 'packed.qcow2', 'leak.qcow2', 'corrupt.qcow2'])('counts of %s are shown as qemu-img shows them', (image) => {
    const json = reference(folder, ['check', '--output=json', image]).stdout
    const counts = JSON.parse(json) as Record<string, number>
    const result = {
      corruptions: counts['corruptions'] ?? 0,
      leaks: counts['leaks'] ?? 0,
      checkErrors: counts['check-errors']!,
      corruptionsFixed: 0,
      leaksFixed: 0,
      imageEndOffset: counts['image-end-offset']!,
      totalClusters: counts['total-clusters'] ?? 0,
      allocatedClusters: counts['allocated-clusters'] ?? 0,
      fragmentedClusters: counts['fragmented-clusters'] ?? 0,
      compressedClusters: counts['compressed-clusters'] ?? 0,
    }
    expect(checkText(result)).toBe(reference(folder, ['check', image]).stdout)
    expect(`${prettyJson(checkJson(result, image, 'qcow2'))}\n`).toBe(json)
  })

  test.each([
    'check',
    'check -r foo data.qcow2',
    'check -T foo data.qcow2',
    'check -T none data.qcow2',
    'check -U data.qcow2',
    'check -f raw data.raw',
    'check --output=json -f raw data.raw',
    'check -f qcow2 data.raw',
    'check -U -r all data.qcow2',
    'check --image-opts driver=qcow2,file.filename=data.qcow2',
    'check --image-opts -f raw driver=qcow2,file.filename=data.qcow2',
  ])('%s', async (line) => expectSame(folder, words(line)))

  describe('and repairs it as qemu-img does', () => {
    const lines = (image: string): string[] => [`check -r all ${image}`, `check -r leaks ${image}`, `check -r all --output=json ${image}`, `check -q -r all ${image}`]
    const images = [
      'leak.qcow2', 'corrupt.qcow2', 'dirty.qcow2', 'corruptbit.qcow2', 'data.qcow2', 'empty.qcow2', 'v2.qcow2', 'ext.qcow2', 'snap.qcow2', 'bitmap.qcow2', 'datafile.qcow2',
      'copied.qcow2', 'shared.qcow2', 'prealloc.qcow2', 'many-leaks.qcow2', 'refcounts.qcow2', 'incomplete.qcow2', 'both-bits.qcow2', 'unknown.qcow2', 'data.raw', 'absent',
    ]
    beforeAll(() => damage(folder))
    beforeEach(({ task }) => void (twins = new Twins(folder, `${task.name} datafile.raw`)))
    afterEach(() => twins.remove())

    test.each(images.flatMap(lines))('%s', async (line) => {
      await twins.expectSame(words(line))
      const image = line.split(' ').at(-1)!
      // Whatever it does, the reference stores bitmaps anew when it closes an image.
      if (image !== 'bitmap.qcow2') await twins.expectSame(['check', image])
      // A new snapshot table can have holes or not.
      const withoutDiskSize = (text: string): string => (image === 'incomplete.qcow2' ? text.replace(/^disk size: .*/m, '') : text)
      if (!image.endsWith('.raw')) await twins.expectSame(['info', image], withoutDiskSize)
    })

    test.each(['misaligned.qcow2', 'reserved.qcow2'])('%s: -r all goes further, and ends with 0', async (image) => {
      const { status } = await ours(twins.ours, ['check', '-r', 'all', image])
      expect(status).toBe(0)
      expect(reference(twins.ours, ['check', image])).toMatchObject({ status: 0, stderr: '' })
      // The reference leaves it as it is.
      expect(reference(twins.theirs, ['check', '-r', 'all', image]).status).toBe(2)
    })
  })
})

/** Images with damage of a kind each, in which the reference can repair all but the last two. */
function damage(folder: string): void {
  const load = (name: string): Buffer => readFileSync(join(folder, name))
  const make = (name: string, of: string, change: (bytes: Buffer, l2: number, block: number) => void): void => {
    const bytes = load(of)
    const l2 = Number(bytes.readBigUInt64BE(Number(bytes.readBigUInt64BE(40))) & 0x00ff_ffff_ffff_fe00n)
    const block = Number(bytes.readBigUInt64BE(Number(bytes.readBigUInt64BE(48))))
    change(bytes, l2, block)
    writeFileSync(join(folder, name), bytes)
  }
  make('copied.qcow2', 'data.qcow2', (bytes, l2) => bytes.writeUInt8(bytes.readUInt8(l2) ^ 0x80, l2))
  make('shared.qcow2', 'data.qcow2', (bytes, l2) => bytes.copy(bytes, l2 + 8, l2, l2 + 8))
  make('prealloc.qcow2', 'data.qcow2', (bytes, l2) => bytes.writeBigUInt64BE(bytes.readBigUInt64BE(l2) + 513n, l2))
  make('many-leaks.qcow2', 'data.qcow2', (bytes, _l2, block) => [3, 20, 21, 40].forEach((cluster) => bytes.writeUInt16BE(7, block + cluster * 2)))
  make('refcounts.qcow2', 'snap.qcow2', (bytes, _l2, block) => [4, 5, 6].forEach((cluster) => bytes.writeUInt16BE(bytes.readUInt16BE(block + cluster * 2) ^ 2, block + cluster * 2)))
  make('incomplete.qcow2', 'snap.qcow2', (bytes) => bytes.writeUInt32BE(bytes.readUInt32BE(60) + 1, 60))
  make('both-bits.qcow2', 'leak.qcow2', (bytes) => bytes.writeUInt8(3, 79))
  make('misaligned.qcow2', 'data.qcow2', (bytes, l2) => bytes.writeBigUInt64BE(bytes.readBigUInt64BE(l2) + 512n, l2))
  make('reserved.qcow2', 'data.qcow2', (bytes, l2) => bytes.writeUInt8(bytes.readUInt8(l2) | 1, l2))
}
