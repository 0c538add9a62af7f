import { rmSync } from 'node:fs'
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

  describe('and refuses to repair what it cannot', () => {
    beforeEach(() => void (twins = new Twins(folder, 'leak.qcow2')))
    afterEach(() => twins.remove())

    test.each(['leaks', 'all'])('-r %s changes nothing, and says so', async (fix) => {
      const { status, stderr } = await ours(twins.ours, ['check', '-r', fix, 'leak.qcow2'])
      expect([status, stderr]).toEqual([1, 'qemu-img: Check failed: Operation not supported\n'])
      // The leak is still there, as the reference finds it.
      await twins.expectSame(['check', 'leak.qcow2'])
    })
  })
})
