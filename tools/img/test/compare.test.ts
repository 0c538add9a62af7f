import { copyFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { oracleAvailable, qemuImg, qemuIo } from '@blockloom/oracle'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { fixtureFolder } from './support/fixtures.ts'
import { expectSame, words } from './support/side-by-side.ts'

describe.runIf(oracleAvailable())('compare finds what qemu-img finds', () => {
  let folder: string
  beforeAll(() => {
    folder = fixtureFolder()
    const at = (name: string): string => join(folder, name)
    for (const offset of [1000, 5000, 1149000, 2500000]) {
      copyFileSync(at('data.qcow2'), at(`at${offset}.qcow2`))
      qemuIo(at(`at${offset}.qcow2`), [`write -P 99 ${offset} 1`])
    }
    copyFileSync(at('longer.raw'), at('tail.raw'))
    qemuIo(at('tail.raw'), ['write -P 1 4321000 3'], { format: 'raw' })
    qemuImg('create', '-q', '-f', 'raw', at('full.raw'), '9M')
    qemuIo(at('full.raw'), ['write -P 1 0 9M'], { format: 'raw' })
    copyFileSync(at('full.raw'), at('late.raw'))
    qemuIo(at('late.raw'), ['write -P 2 5000000 1', 'write -P 3 8000000 1'], { format: 'raw' })
    qemuImg('convert', '-O', 'qcow2', at('full.raw'), at('full.qcow2'))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  const PAIRS = [
    'data.qcow2 data.qcow2', 'data.qcow2 data.raw', 'data.raw longer.raw', 'longer.raw data.qcow2', 'longer.raw tail.raw', 'data.qcow2 tail.raw', 'tail.raw data.qcow2',
    'data.qcow2 packed.qcow2', 'data.qcow2 at1000.qcow2', 'data.qcow2 at5000.qcow2', 'at1149000.qcow2 data.qcow2', 'data.qcow2 at2500000.qcow2', 'at2500000.qcow2 data.qcow2',
    'empty.qcow2 zeroes.qcow2', 'empty.qcow2 hole.raw', 'hole.raw v2.qcow2', 'nothing.qcow2 empty.qcow2', 'full.raw full.qcow2', 'full.raw late.raw', 'late.raw full.qcow2',
    'over.qcow2 top.qcow2', 'over.qcow2 data.qcow2', 'onraw.qcow2 data.qcow2', 'odd.raw odd.raw', 'data.raw hole.raw',
  ]
  test.each(PAIRS)('%s', async (pair) => {
    await expectSame(folder, ['compare', ...words(pair)])
    await expectSame(folder, ['compare', '-s', ...words(pair)])
    await expectSame(folder, ['compare', '-p', ...words(pair)])
  })

  test.each([
    'compare -q -p data.qcow2 longer.raw',
    'compare -q data.qcow2 hole.raw',
    'compare -f raw -F raw data.raw longer.raw',
    'compare -F raw data.raw data.qcow2',
    'compare -U -T none data.qcow2 data.raw',
    'compare --image-opts driver=qcow2,file.filename=data.qcow2 driver=raw,file.filename=data.raw',
    'compare',
    'compare data.raw',
    'compare data.raw data.raw data.raw',
    'compare absent data.raw',
    'compare data.raw absent',
    'compare -f foo data.raw data.raw',
    'compare -f qcow2 data.raw data.raw',
    'compare -T foo data.raw data.raw',
    'compare --image-opts -f raw driver=raw,file.filename=data.raw driver=raw,file.filename=data.raw',
    'compare orphan.qcow2 data.raw',
  ])('%s', async (line) => expectSame(folder, words(line)))
})
