import { spawn, spawnSync } from 'node:child_process'
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { oracleAvailable, qemuImg, qemuIo } from '@blockloom/oracle'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { fixtureFolder } from './support/fixtures.ts'
import { kindsOf } from './support/kinds.ts'
import { ours, reference, Twins, words } from './support/side-by-side.ts'
import { NODE } from './support/pinned-node.ts'

const TOOL = fileURLToPath(new URL('../src/main.ts', import.meta.url))

describe.runIf(oracleAvailable())('commit does what qemu-img does', () => {
  let fixtures: string
  let twins: Twins
  beforeAll(() => {
    fixtures = fixtureFolder()
    // Two snapshots in the way of emptying, and a base without format in its overlay.
    qemuImg('create', '-q', '-f', 'qcow2', '-u', '-b', 'data.qcow2', '-F', 'qcow2', join(fixtures, 'kept.qcow2'), '4M')
    qemuIo(join(fixtures, 'kept.qcow2'), ['write -P 3 2M 128k'], { format: 'qcow2' })
    qemuImg('snapshot', '-c', 'a', join(fixtures, 'kept.qcow2'))
    qemuIo(join(fixtures, 'kept.qcow2'), ['write -P 4 2M 64k'], { format: 'qcow2' })
  })
  afterAll(() => rmSync(fixtures, { recursive: true, force: true }))
  afterEach(() => twins.remove())

  /** The reference says how far it is as often as it comes by. */
  const without = (text: string): string => text.replaceAll(/ {4}\(\d+\.\d\d\/100%\)\r/g, '')

  test.each([
    'over.qcow2',
    '-p over.qcow2',
    '-q -p over.qcow2',
    '-d over.qcow2',
    '-t none over.qcow2',
    '-t directsync -d over.qcow2',
    '-f qcow2 over.qcow2',
    '-r 100M over.qcow2',
    '-b over.qcow2 top.qcow2',
    '-b data.qcow2 top.qcow2',
    '-b ./data.qcow2 top.qcow2',
    'top.qcow2',
    '-d top.qcow2',
    'sub/over.qcow2',
    '-b ../data.qcow2 sub/over.qcow2',
    '-b data.qcow2 sub/over.qcow2',
    'onraw.qcow2',
    '-b data.raw onraw.qcow2',
    'kept.qcow2',
    '--image-opts driver=qcow2,file.filename=over.qcow2',
    '--image-opts driver=qcow2,file.filename=top.qcow2,backing.file.filename=data.qcow2,backing.driver=qcow2',
    '--image-opts -f qcow2 driver=qcow2,file.filename=over.qcow2',
    '-b absent over.qcow2',
    '-b top.qcow2 top.qcow2',
    "-b '' over.qcow2",
    'data.qcow2',
    'data.raw',
    '-f raw data.raw',
    'orphan.qcow2',
    'absent',
    '',
    'over.qcow2 data.qcow2',
    '-t foo over.qcow2',
    '-r foo over.qcow2',
    '-f foo over.qcow2',
    '-x over.qcow2',
    '-b',
    '--object foo over.qcow2',
    '--object secret,id=s,data=x over.qcow2',
  ])('commit %s', async (line) => {
    twins = new Twins(fixtures, `${line} data.qcow2`)
    await twins.expectSame(['commit', ...words(line)], without)
    for (const name of readdirSync(twins.ours).filter((each) => /^(over|top|data|kept|onraw)\./.test(each))) {
      const format = name.endsWith('.raw') ? 'raw' : 'qcow2'
      const maps = [twins.ours, twins.theirs].map((folder) => kindsOf(reference(folder, ['map', '--output=json', '-f', format, name]).stdout))
      // A file's holes depend on how it came to be.
      if (format === 'qcow2') expect(maps[0], name).toBe(maps[1])
      if (format === 'qcow2') expect(reference(twins.ours, ['check', '-q', name])).toEqual({ status: 0, stdout: '', stderr: '' })
      const same = spawnSync('qemu-img', ['compare', '-q', '-f', format, '-F', format, join(twins.ours, name), join(twins.theirs, name)], { encoding: 'utf8' })
      expect(same.stderr + same.stdout, name).toBe('')
    }
  })

  test('progress as lines of JSON', async () => {
    twins = new Twins(fixtures, 'over.qcow2')
    const { status, stdout } = await ours(twins.ours, ['commit', '--progress=json', 'over.qcow2'])
    const lines = stdout.trimEnd().split('\n')
    expect({ status, last: lines.pop() }).toEqual({ status: 0, last: 'Image committed.' })
    expect(JSON.parse(lines.at(-1)!)).toMatchObject({ done: 131072, total: 131072, percent: 100 })
  })

  test('interrupted: the overlay has all that it had', async () => {
    twins = new Twins(fixtures, 'over.qcow2')
    const image = join(twins.ours, 'over.qcow2')
    qemuIo(image, ['write -P 8 0 8M'])
    const before = qemuImg('map', '--output=json', image)
    const child = spawn(NODE, [TOOL, 'commit', '-p', '-r', '1M', image])
    await new Promise((resolve) => child.stdout.once('data', resolve))
    child.kill('SIGINT')
    expect(await new Promise((resolve) => child.once('close', resolve))).toBe(130)
    expect(kindsOf(qemuImg('map', '--output=json', image))).toBe(kindsOf(before))
    qemuIo(image, ['read -P 8 0 8M'])
    qemuImg('check', join(twins.ours, 'data.qcow2'))
    qemuImg('check', image)
  })

  test('the base is in use', async () => {
    twins = new Twins(fixtures, 'over.qcow2')
    const holder = spawn('qemu-io', ['-r', join(twins.ours, 'data.qcow2')], { stdio: ['pipe', 'pipe', 'inherit'] })
    holder.stdin.write('read 0 1\n')
    await new Promise((resolve) => holder.stdout.once('data', resolve))
    const wanted = reference(twins.ours, ['commit', 'over.qcow2'])
    expect(await ours(twins.ours, ['commit', 'over.qcow2'])).toEqual(wanted)
    expect(wanted).toMatchObject({ status: 1, stderr: expect.stringContaining('Failed to get "write" lock') as string })
    holder.stdin.end('quit\n')
    await new Promise((resolve) => holder.once('close', resolve))
  })
})
