import { rmSync } from 'node:fs'
import { oracleAvailable } from '@blockloom/oracle'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { fixtureFolder } from './support/fixtures.ts'
import { expectSame, words } from './support/side-by-side.ts'

describe.runIf(oracleAvailable())('measure prints what qemu-img prints', () => {
  let folder: string
  beforeAll(() => void (folder = fixtureFolder()))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  test.each([
    'data.qcow2', 'empty.qcow2', 'nothing.qcow2', 'v2.qcow2', 'many.qcow2', 'zeroes.qcow2', 'over.qcow2', 'top.qcow2', 'snap.qcow2', 'bitmap.qcow2', 'packed.qcow2',
    'data.raw', 'hole.raw', 'odd.raw', 'onraw.qcow2',
  ])('%s', async (image) => {
    await expectSame(folder, ['measure', image])
    await expectSame(folder, ['measure', '-O', 'qcow2', image])
    await expectSame(folder, ['measure', '-O', 'qcow2', '--output=json', image])
    await expectSame(folder, ['measure', '-O', 'qcow2', '-o', 'cluster_size=4k,refcount_bits=1', image])
  })

  test.each([
    'measure --size 1G',
    'measure --size 1G -O qcow2',
    'measure --size 1G -O qcow2 --output=json',
    'measure --size 1G -O qcow2 -o cluster_size=4k',
    'measure --size 1G -O qcow2 -o nocow=on,extent_size_hint=1M',
    'measure --size 1G -O raw -o nocow=off,preallocation=full',
    'measure --size 1G -O raw -o nocoww=on',
    'measure --size 1000 -O raw',
    'measure -O qcow2 -o preallocation=full --size 1G',
    'measure -O qcow2 -o preallocation=metadata --size 1G',
    'measure -O qcow2 -o size=2G --size 1G',
    'measure -O qcow2 -o extended_l2=on --size 10T',
    'measure -O qcow2 -l first snap.qcow2',
    'measure -O qcow2 -l 1 snap.qcow2',
    'measure -O qcow2 -o backing_file=data.qcow2,backing_fmt=qcow2 over.qcow2',
    'measure -U data.qcow2',
    'measure --image-opts driver=qcow2,file.filename=data.qcow2',
    'measure',
    'measure -O qcow2 -l absent snap.qcow2',
    'measure -O qcow2 -l snapshot.id=7 snap.qcow2',
    'measure -O qcow2 -l snapshot.foo=7 snap.qcow2',
    'measure -O qcow2 -l first data.raw',
    'measure -O foo data.qcow2',
    'measure --size foo -O qcow2',
    'measure --size=-1 -O qcow2',
    'measure --size=9E -O qcow2',
    'measure --size 7E -O qcow2',
    'measure --size 1G -O qcow2 data.qcow2',
    'measure --size 1G -O qcow2 -f qcow2',
    'measure --size 1G --image-opts',
    'measure --size 1G -l foo',
    'measure -O qcow2 a b',
    'measure -O qcow2 absent',
    'measure -O qcow2 -o foo=bar --size 1G',
    'measure -O qcow2 -o cluster_size=3 data.qcow2',
    'measure -O qcow2 -o ,x --size 1',
    'measure --output=foo --size 1G',
    'measure --image-opts -f qcow2 driver=qcow2,file.filename=data.qcow2',
  ])('%s', async (line) => expectSame(folder, words(line)))
})
