import { rmSync } from 'node:fs'
import { oracleAvailable } from '@blockloom/oracle'
import { afterAll, afterEach, beforeAll, describe, test } from 'vitest'
import { fixtureFolder } from './support/fixtures.ts'
import { Twins, words } from './support/side-by-side.ts'

describe.runIf(oracleAvailable())('resize does what qemu-img does', () => {
  let fixtures: string
  let twins: Twins
  beforeAll(() => void (fixtures = fixtureFolder()))
  afterAll(() => rmSync(fixtures, { recursive: true, force: true }))
  afterEach(() => twins.remove())

  const virtualSize = (text: string): string => text.replace(/^disk size:.*\n/m, '')

  test.each([
    'data.qcow2 +1M',
    'data.qcow2 8M',
    'data.qcow2 4M',
    'data.qcow2 1000k',
    'data.qcow2 -1M',
    '--shrink data.qcow2 -1M',
    '--shrink data.qcow2 -10G',
    '--shrink data.qcow2 0',
    '-f qcow2 --shrink data.qcow2 1M',
    '-q data.qcow2 10M',
    'data.qcow2 foo',
    'data.qcow2 +foo',
    'data.qcow2 +',
    "data.qcow2 ''",
    'data.qcow2 1.5',
    "data.qcow2 ' 8M'",
    'data.qcow2 100E',
    'data.qcow2',
    '',
    'data.qcow2 8M foo',
    'foo data.qcow2 8M',
    'data.qcow2 -1M --shrink',
    'data.qcow2 -- -1',
    '-x data.qcow2 1M',
    'data.raw 8M',
    'data.raw +0',
    '-f raw data.raw 9M',
    '-f raw data.raw 1M',
    '-f raw --shrink data.raw 1M',
    '-q -f raw --shrink data.raw -1M',
    '-f raw data.raw 0x10k',
    '-f raw --preallocation=full data.raw +1M',
    '-f raw --preallocation=falloc data.raw +1M',
    '--preallocation=foo data.qcow2 +1M',
    '--preallocation=metadata data.qcow2 +1M',
    '--preallocation=metadata --shrink data.qcow2 512k',
    'absent 1M',
    '-f foo data.raw 1M',
    'v2.qcow2 +1M',
    'snap.qcow2 +1M',
    'over.qcow2 20M',
    '--image-opts driver=qcow2,file.filename=data.qcow2 10M',
    '--image-opts driver=qcow2,file.filename=data.qcow2 -1M',
    '--image-opts -f raw driver=qcow2,file.filename=data.qcow2 1M',
  ])('resize %s', async (line) => {
    twins = new Twins(fixtures, line)
    await twins.expectSame(['resize', ...words(line)])
    const image = words(line).find((word) => /^\w+\.(qcow2|raw)$/.test(word))
    if (image === undefined || image === 'absent') return
    await twins.expectSame(['info', image], virtualSize)
    // The reference looks for holes in space that was allocated beforehand.
    if (!line.includes('=metadata')) await twins.expectSame(['map', '--output=json', image])
  })
})
