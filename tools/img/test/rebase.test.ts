import { spawn } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { oracleAvailable, qemuImg, qemuIo } from '@blockloom/oracle'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { fixtureFolder } from './support/fixtures.ts'
import { kindsOf } from './support/kinds.ts'
import { ours, reference, Twins, words } from './support/side-by-side.ts'
import { NODE } from './support/pinned-node.ts'

const TOOL = fileURLToPath(new URL('../src/main.ts', import.meta.url))

describe.runIf(oracleAvailable())('rebase does what qemu-img does', () => {
  let fixtures: string
  let twins: Twins
  beforeAll(() => {
    fixtures = fixtureFolder()
    qemuImg('create', '-q', '-f', 'qcow2', join(fixtures, 'other.qcow2'), '5M')
    // Like data.qcow2 but for a cluster that is missing, one that differs, and one that only it has.
    qemuIo(join(fixtures, 'other.qcow2'), ['write -P 1 0 64k', 'write -P 2 1M 64k', 'write -P 9 2M 64k'])
    qemuImg('create', '-q', '-f', 'qcow2', '-o', 'cluster_size=512', '-b', 'data.qcow2', '-F', 'qcow2', '-u', join(fixtures, 'tiny.qcow2'), '4M')
  })
  afterAll(() => rmSync(fixtures, { recursive: true, force: true }))
  afterEach(() => twins.remove())

  /** The reference says how far it is as often as it comes by. */
  const without = (text: string): string => text.replaceAll(/ {4}\(\d+\.\d\d\/100%\)\r/g, '')
  const sizeless = (text: string): string => text.replace(/^disk size:.*\n/m, '')

  /** Where the image has something of its own: the reference stores zeroes as data. */
  const owned = (kinds: string): string[] => [...kinds.matchAll(/^(\d+)\+(\d+) depth 0 (?:zero|data)$/gm)].flatMap(([, start, length]) => Array.from({ length: Number(length) / 65536 }, (_, i) => `${Number(start) + i * 65536}`))

  const NAME = 'n'.repeat(1023)

  test.each([
    '-b other.qcow2 -F qcow2 over.qcow2',
    '-p -b other.qcow2 -F qcow2 over.qcow2',
    '-q -p -b other.qcow2 -F qcow2 over.qcow2',
    '-b other.qcow2 -F qcow2 top.qcow2',
    '-b data.qcow2 -F qcow2 top.qcow2',
    '-b over.qcow2 -F qcow2 top.qcow2',
    '-b data.raw -F raw over.qcow2',
    '-b data.qcow2 -F qcow2 onraw.qcow2',
    '-b other.qcow2 -F qcow2 empty.qcow2',
    '-b packed.qcow2 -F qcow2 over.qcow2',
    "-b '' over.qcow2",
    "-b '' -F qcow2 top.qcow2",
    '-b file:other.qcow2 -F qcow2 over.qcow2',
    '-b ../other.qcow2 -F qcow2 sub/over.qcow2',
    '-b other.qcow2 -F qcow2 sub/over.qcow2',
    '-t none -T none -b other.qcow2 -F qcow2 over.qcow2',
    '-f qcow2 -b other.qcow2 -F qcow2 over.qcow2',
    '-u -b absent -F qcow2 over.qcow2',
    '-u -b absent -F raw orphan.qcow2',
    '-u over.qcow2',
    "-u -b '' over.qcow2",
    '-u -b over.qcow2 -F qcow2 over.qcow2',
    '-u -F qcow2 over.qcow2',
    '-u -U -b other.qcow2 -F qcow2 over.qcow2',
    `-u -b ${NAME} -F qcow2 over.qcow2`,
    `-u -b ${NAME}n -F qcow2 over.qcow2`,
    `-u -b ${NAME.slice(600)} -F qcow2 tiny.qcow2`,
    'over.qcow2',
    '-b other.qcow2 over.qcow2',
    '-u -b other.qcow2 over.qcow2',
    '-b absent over.qcow2',
    '-b absent -F qcow2 over.qcow2',
    '-b other.qcow2 -F foo over.qcow2',
    '-u -b other.qcow2 -F foo over.qcow2',
    '-b other.qcow2 -F raw orphan.qcow2',
    '-b over.qcow2 -F qcow2 over.qcow2',
    '-b other.qcow2 -F qcow2 data.raw',
    '-f raw -b other.qcow2 -F qcow2 data.raw',
    '-u -f raw -b other.qcow2 data.raw',
    '-u -f raw data.raw',
    "-u -f raw -b '' data.raw",
    '-b other.qcow2 -F qcow2 absent',
    '-b other.qcow2 -F qcow2',
    '-b other.qcow2 over.qcow2 top.qcow2',
    '',
    '-t foo -b other.qcow2 -F qcow2 over.qcow2',
    '-T foo -b other.qcow2 -F qcow2 over.qcow2',
    '-t foo -T foo over.qcow2',
    '-x over.qcow2',
    '-b',
    '-f foo -b other.qcow2 -F qcow2 over.qcow2',
    '--object foo -b other.qcow2 -F qcow2 over.qcow2',
    '--object secret,id=s,data=x -b other.qcow2 -F qcow2 over.qcow2',
    '--image-opts -b other.qcow2 -F qcow2 driver=qcow2,file.filename=over.qcow2',
    '--image-opts -f qcow2 -b other.qcow2 -F qcow2 driver=qcow2,file.filename=over.qcow2',
    `-b 'json:{"driver":"qcow2","file":{"driver":"file","filename":"other.qcow2"}}' -F qcow2 over.qcow2`,
  ])('rebase %s', async (line) => {
    twins = new Twins(fixtures, `${line} data.qcow2 other.qcow2 over.qcow2`)
    const guest = join(twins.root, 'guest.raw')
    const image = /(sub\/)?\w+\.\w+$/.exec(line)?.[0]
    const format = image?.endsWith('.raw') ? 'raw' : 'qcow2'
    const safe = !line.includes('-u ') && image !== undefined && !/absent$|orphan/.test(line)
    if (safe) qemuImg('convert', '-f', format, '-O', 'raw', join(twins.ours, image), guest)
    await twins.expectSame(['rebase', ...words(line)], without)
    if (image === undefined || image === 'absent') return
    await twins.expectSame(['info', image], sizeless)
    if (format === 'raw') return
    expect(reference(twins.ours, ['check', '-q', `json:{"driver":"qcow2","backing":null,"file":{"driver":"file","filename":"${image}"}}`])).toEqual({ status: 0, stdout: '', stderr: '' })
    if (!safe) return
    const maps = [twins.ours, twins.theirs].map((folder) => owned(kindsOf(reference(folder, ['map', '--output=json', image]).stdout)))
    // Without a format the reference refuses only after it has copied.
    if (line.includes('-F ') || line.includes("''")) expect(maps[0]).toEqual(maps[1])
    expect(reference(twins.ours, ['compare', '-q', '-f', 'qcow2', '-F', 'raw', image, guest])).toEqual({ status: 0, stdout: '', stderr: '' })
  })

  test('compressed, as later versions of the reference do it', async () => {
    twins = new Twins(fixtures, 'over.qcow2 other.qcow2')
    const image = join(twins.ours, 'over.qcow2')
    const guest = join(twins.root, 'guest.raw')
    qemuImg('convert', '-O', 'raw', image, guest)
    expect(await ours(twins.ours, ['rebase', '-c', '-b', 'other.qcow2', '-F', 'qcow2', 'over.qcow2'])).toEqual({ status: 0, stdout: '', stderr: '' })
    qemuImg('compare', '-f', 'qcow2', '-F', 'raw', image, guest)
    expect(qemuImg('check', image)).toMatch(/\b33\.33% compressed clusters/)
    expect(await ours(twins.ours, ['rebase', '-c', '-b', '', 'data.raw'])).toMatchObject({ status: 1 })
  })

  test.each([
    ["-b ''", 'old'],
    ['-b bad.qcow2 -F qcow2', 'new'],
  ])('what cannot be read: %s', async (options, which) => {
    twins = new Twins(fixtures, 'over.qcow2')
    for (const folder of [twins.ours, twins.theirs]) {
      const bytes = readFileSync(join(fixtures, 'packed.qcow2'))
      // Header, refcounts, L1 and L2 table come first.
      writeFileSync(join(folder, 'bad.qcow2'), bytes.fill(0xff, 5 * 65536))
      if (which === 'old') qemuImg('rebase', '-u', '-b', 'bad.qcow2', '-F', 'qcow2', join(folder, 'over.qcow2'))
    }
    await twins.expectSame(['rebase', ...words(options), 'over.qcow2'])
    await twins.expectSame(['info', 'over.qcow2'], sizeless)
  })

  test('writers to the new backing file are tolerated only with -U', async () => {
    twins = new Twins(fixtures, 'over.qcow2 other.qcow2')
    const holder = spawn('qemu-io', [join(twins.ours, 'other.qcow2')], { stdio: ['pipe', 'pipe', 'inherit'] })
    holder.stdin.write('read 0 1\n')
    await new Promise((resolve) => holder.stdout.once('data', resolve))
    const args = ['-b', 'other.qcow2', '-F', 'qcow2', 'over.qcow2']
    const wanted = reference(twins.ours, ['rebase', ...args])
    expect(wanted).toMatchObject({ status: 1 })
    expect(await ours(twins.ours, ['rebase', ...args])).toEqual(wanted)
    expect(await ours(twins.ours, ['rebase', '-U', ...args])).toEqual({ status: 0, stdout: '', stderr: '' })
    holder.stdin.end('quit\n')
    await new Promise((resolve) => holder.once('close', resolve))
  })

  test('progress as lines of JSON', async () => {
    twins = new Twins(fixtures, 'over.qcow2 other.qcow2')
    const { status, stdout } = await ours(twins.ours, ['rebase', '--progress=json', '-b', 'other.qcow2', '-F', 'qcow2', 'over.qcow2'])
    expect(status).toBe(0)
    expect(JSON.parse(stdout.trimEnd().split('\n').at(-1)!)).toMatchObject({ percent: 100 })
  })

  test('interrupted: the image names the old backing file and reads the same', async () => {
    twins = new Twins(fixtures, 'data.qcow2')
    const at = (name: string): string => join(twins.ours, name)
    qemuImg('create', '-q', '-f', 'qcow2', at('big.qcow2'), '1G')
    qemuIo(at('big.qcow2'), ['write -P 1 0 192M'])
    qemuImg('create', '-q', '-f', 'qcow2', '-b', 'big.qcow2', '-F', 'qcow2', at('overlay.qcow2'))
    const child = spawn(NODE, [TOOL, 'rebase', '--progress=json', '-b', '', at('overlay.qcow2')])
    await new Promise((resolve) => child.stdout.once('data', resolve))
    child.kill('SIGINT')
    expect(await new Promise((resolve) => child.once('close', resolve))).toBe(130)
    expect(JSON.parse(qemuImg('info', '--output=json', at('overlay.qcow2')))).toMatchObject({ 'backing-filename': 'big.qcow2' })
    qemuImg('check', at('overlay.qcow2'))
    qemuIo(at('overlay.qcow2'), ['read -P 1 0 192M', 'read -P 0 192M 832M'])
  })
})
