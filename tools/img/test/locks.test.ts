import { spawn, type ChildProcess } from 'node:child_process'
import { rmSync } from 'node:fs'
import { oracleAvailable } from '@blockloom/oracle'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { fixtureFolder } from './support/fixtures.ts'
import { expectSame, words } from './support/side-by-side.ts'

/** Opens an image in another process and keeps it open until it is killed. */
async function hold(folder: string, args: readonly string[]): Promise<ChildProcess> {
  const child = spawn('qemu-io', args, { cwd: folder, stdio: ['pipe', 'pipe', 'ignore'] })
  // Its prompt comes once the image is open.
  await new Promise((resolve) => child.stdout.once('data', resolve))
  return child
}

describe.runIf(oracleAvailable())('an image that another process has open', () => {
  let folder: string
  beforeAll(() => void (folder = fixtureFolder()))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  describe('for writing', () => {
    let holder: ChildProcess
    beforeAll(async () => void (holder = await hold(folder, ['-f', 'qcow2', 'data.qcow2'])))
    afterAll(() => void holder.kill('SIGKILL'))

    test.each([
      'info data.qcow2',
      'info -U data.qcow2',
      'info --output=json data.qcow2',
      'info --backing-chain over.qcow2',
      'check data.qcow2',
      'check -U data.qcow2',
      'check -r all data.qcow2',
      'compare data.qcow2 data.raw',
      'compare -U data.qcow2 data.raw',
      'map data.qcow2',
      'map -U data.qcow2',
      'map over.qcow2',
      'measure data.qcow2',
      'bench -c 1 data.qcow2',
      'resize data.qcow2 10M',
      'create -f qcow2 data.qcow2 1M',
      'create -f raw data.qcow2 1M',
      'convert data.qcow2 x',
      'convert -O qcow2 data.raw data.qcow2',
      'convert -n -O qcow2 data.raw data.qcow2',
    ])('%s', async (line) => expectSame(folder, words(line)))
  })

  describe('for reading', () => {
    let holder: ChildProcess
    beforeAll(async () => void (holder = await hold(folder, ['-r', '-f', 'qcow2', 'data.qcow2'])))
    afterAll(() => void holder.kill('SIGKILL'))

    test.each(['info data.qcow2', 'check data.qcow2', 'map data.qcow2', 'resize data.qcow2 10M', 'create -f qcow2 data.qcow2 1M', 'check -r all data.qcow2'])('%s', async (line) =>
      expectSame(folder, words(line)),
    )
  })
})
