import { rmSync } from 'node:fs'
import { oracleAvailable } from '@blockloom/oracle'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { fixtureFolder } from './support/fixtures.ts'
import { expectSame, words } from './support/side-by-side.ts'

describe.runIf(oracleAvailable())('info prints what qemu-img prints', () => {
  let folder: string
  beforeAll(() => void (folder = fixtureFolder()))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  const IMAGES = [
    'data.qcow2', 'empty.qcow2', 'nothing.qcow2', 'v2.qcow2', 'many.qcow2', 'ext.qcow2', 'over.qcow2', 'top.qcow2', 'sub/over.qcow2', 'orphan.qcow2',
    'snap.qcow2', 'bitmap.qcow2', 'packed.qcow2', 'data.raw', 'odd.raw', 'longer.raw', 'datafile.qcow2', 'dirty.qcow2', 'corruptbit.qcow2', './data.qcow2', 'file:data.qcow2',
  ]
  test.each(IMAGES)('%s', async (image) => {
    await expectSame(folder, ['info', image])
    await expectSame(folder, ['info', '--output=json', image])
  })

  test.each(['top.qcow2', 'sub/over.qcow2', 'data.raw', 'orphan.qcow2', 'onraw.qcow2'])('the backing chain of %s', async (image) => {
    await expectSame(folder, ['info', '--backing-chain', image])
    await expectSame(folder, ['info', '--backing-chain', '--output', 'json', image])
  })

  test.each([
    'info -f raw data.qcow2',
    'info -U data.qcow2',
    'info -Uf raw data.raw',
    'info --force-share --format=qcow2 data.qcow2',
    'info --out=json data.raw',
    'info data.raw --output json --output human',
    'info --image-opts driver=qcow2,file.filename=data.qcow2',
    'info --image-opts driver=qcow2,file.driver=file,file.filename=data.qcow2,',
    'info --output=json --image-opts driver=raw,file.filename=data.raw',
    'info --image-opts file.filename=data.qcow2',
    'info --image-opts driver=qcow2,discard=on,detect-zeroes=unmap,file.filename=data.qcow2',
    'info --image-opts driver=qcow2,discard=off,detect-zeroes=unmap,file.filename=data.qcow2',
    'info --image-opts driver=qcow2,cache-size=1M,l2-cache-size=2M,file.filename=data.qcow2',
    'info --image-opts driver=qcow2,overlap-check.foo=on,file.filename=data.qcow2',
    'info --image-opts driver=qcow2,overlap-check.active-l1=x,file.filename=data.qcow2',
    'info --image-opts driver=qcow2,cache-clean-interval=-1,file.filename=data.qcow2',
    'info -f file data.qcow2',
    'info -f file --output=json data.qcow2',
    `info 'json:{"driver":"qcow2","file":{"driver":"file","filename":"v2.qcow2"}}'`,
    `info 'json:{"file":{"driver":"file","filename":"v2.qcow2"}}'`,
  ])('%s', async (line) => expectSame(folder, words(line)))

  test.each([
    'info',
    'info a b',
    'info --foo',
    'info -x data.raw',
    'info -Ux data.raw',
    'info -xU data.raw',
    'info data.raw -xU',
    'info -f',
    'info --output',
    'info --output=yaml data.raw',
    'info --image-opts=3 data.raw',
    'info -q data.raw',
    'info -- -f',
    'info absent.qcow2',
    'info absent/x.qcow2',
    'info /',
    "info ''",
    "info -f raw ''",
    'info -f foo data.raw',
    'info -f qcow2 data.raw',
    'info foo:bar',
    'info unknown.qcow2',
    'info -f qcow2 version.qcow2',
    'info clusterbits.qcow2',
    'info l1.qcow2',
    'info short.qcow2',
    'info --image-opts data.qcow2',
    'info --image-opts driver=foo',
    'info --image-opts driver=qcow2',
    'info --image-opts -f raw driver=raw,file.filename=data.raw',
    'info --image-opts driver=raw,offset=100M,file.filename=data.raw',
    'info --image-opts driver=raw,offset=zz,file.filename=data.raw',
    `info 'json:{"driver":"qcow2"}'`,
  ])('refuses: %s', async (line) => expectSame(folder, words(line)))
})
