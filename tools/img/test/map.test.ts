import { rmSync } from 'node:fs'
import { oracleAvailable } from '@blockloom/oracle'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { fixtureFolder } from './support/fixtures.ts'
import { expectSame, words } from './support/side-by-side.ts'

describe.runIf(oracleAvailable())('map prints what qemu-img prints', () => {
  let folder: string
  beforeAll(() => void (folder = fixtureFolder()))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  const IMAGES = [
    'data.qcow2', 'empty.qcow2', 'nothing.qcow2', 'v2.qcow2', 'many.qcow2', 'zeroes.qcow2', 'ext.qcow2', 'over.qcow2', 'top.qcow2', 'sub/over.qcow2',
    'snap.qcow2', 'packed.qcow2', 'data.raw', 'hole.raw', 'odd.raw', 'longer.raw', 'onraw.qcow2', 'datafile.qcow2', 'orphan.qcow2', 'bitmap.qcow2',
  ]
  test.each(IMAGES)('%s', async (image) => {
    await expectSame(folder, ['map', image])
    // Where a subcluster that is not allocated would lie is not told.
    if (image !== 'ext.qcow2') await expectSame(folder, ['map', '--output=json', image])
  })

  test.each([
    'map -s 64k -l 1M --output=json data.qcow2',
    'map --start-offset=100 --max-length=1000 --output=json data.qcow2',
    'map --start-offset=5M --max-length=1M --output=json data.qcow2',
    'map --max-length=0 data.qcow2',
    'map --max-length=0 --output=json data.qcow2',
    'map -f raw --output=json data.qcow2',
    'map -U --image-opts driver=qcow2,file.filename=data.qcow2',
    'map --start-offset=foo data.qcow2',
    'map --max-length=-1 data.qcow2',
    'map --start-offset=9E data.qcow2',
    'map --output=foo data.qcow2',
    'map',
    'map absent',
    'map -f foo data.qcow2',
    'map --image-opts -f raw driver=qcow2,file.filename=data.qcow2',
  ])('%s', async (line) => expectSame(folder, words(line)))
})
