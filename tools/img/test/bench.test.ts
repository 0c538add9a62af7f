import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { oracleAvailable, qemuImg } from '@blockloom/oracle'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fixtureFolder } from './support/fixtures.ts'
import { ours, Twins, words } from './support/side-by-side.ts'

describe.runIf(oracleAvailable())('bench does what qemu-img does', () => {
  let fixtures: string
  beforeAll(() => void (fixtures = fixtureFolder()))
  afterAll(() => rmSync(fixtures, { recursive: true, force: true }))

  const untimed = (text: string): string => text.replace(/\d+\.\d{3} seconds/, 'N seconds')

  test.each([
    'data.qcow2', '-c 1000 data.raw', '-c 100 -d 4 -s 8k -o 64k -w -f qcow2 data.qcow2', '-c 1000 -w --flush-interval=100 -f qcow2 data.qcow2',
    '-c 1000 -w --flush-interval=100 --no-drain -f qcow2 data.qcow2', '-c 0 data.qcow2', '-c 10 -S 12k -s 1 -o 4194303 data.qcow2', '-c 10 -w --pattern=0x41 data.qcow2',
    '-c 10 -w data.raw', '-q -c 10 -U data.qcow2', '-t none -c 10 data.qcow2', '-t directsync -w -c 10 data.qcow2', '-i threads -c 10 data.qcow2', '-c 20 -s 0 data.qcow2',
    '-c 10 --image-opts driver=qcow2,file.filename=data.qcow2', '-c 10 -S 0 data.qcow2',
    '', 'a b', '-c foo data.qcow2', '-c -1 data.qcow2', '-c 1k data.qcow2', '-c 99999999999 data.qcow2', '-d foo data.qcow2', '-d -1 data.qcow2', '-s foo data.qcow2',
    '-s 3G data.qcow2', '-S 3G data.qcow2', '-S foo data.qcow2', '-o foo data.qcow2', '-o 9E data.qcow2', '-o 10M -c 10 data.qcow2', '-s 5M -c 10 data.qcow2',
    '-c 1000 -d 4 -s 8k -S 12k -o 64k -w -f qcow2 data.qcow2', '--pattern=300 -w data.qcow2', '-t foo data.qcow2', '-i foo data.qcow2', '--flush-interval=x data.qcow2',
    '--flush-interval=100 data.qcow2', '-w --flush-interval=10 data.qcow2', '-U -w data.qcow2', 'absent', '--image-opts -f raw driver=qcow2,file.filename=data.qcow2',
  ])('bench %s', async (line) => {
    const twins = new Twins(fixtures, line)
    try {
      await twins.expectSame(['bench', ...words(line)], untimed)
      // After a failure it depends on timing what has been written.
      if (!line.startsWith('-c 1000 -d 4')) qemuImg('compare', join(twins.theirs, 'data.qcow2'), join(twins.ours, 'data.qcow2'))
    } finally {
      twins.remove()
    }
  })

  test('what hangs or crashes the reference is refused', async () => {
    expect(await ours(fixtures, words('bench -d 0 data.qcow2'))).toEqual({ status: 1, stdout: '', stderr: 'qemu-img: Invalid queue depth specified\n' })
    expect(await ours(fixtures, words('bench nothing.qcow2'))).toEqual({ status: 1, stdout: '', stderr: 'qemu-img: The image is empty\n' })
  })
})
