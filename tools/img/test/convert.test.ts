import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { checkImage, oracleAvailable, qemuImg } from '@blockloom/oracle'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { fixtureFolder } from './support/fixtures.ts'
import { ours, Twins, words } from './support/side-by-side.ts'

describe.runIf(oracleAvailable())('convert does what qemu-img does', () => {
  let fixtures: string
  let twins: Twins
  beforeAll(() => void (fixtures = fixtureFolder()))
  afterAll(() => rmSync(fixtures, { recursive: true, force: true }))
  afterEach(() => twins.remove())

  // The target is called x.
  test.each([
    'convert data.qcow2 x',
    'convert -O qcow2 data.qcow2 x',
    'convert -f raw -O qcow2 data.qcow2 x',
    'convert -O raw over.qcow2 x',
    'convert -O qcow2 top.qcow2 x',
    'convert -c -O qcow2 data.qcow2 x',
    'convert -O qcow2 -o nocow=on,extent_size_hint=1M data.qcow2 x',
    'convert -O raw -o nocow=off data.qcow2 x',
    'convert -c -O qcow2 -o compression_type=zstd,cluster_size=4k many.qcow2 x',
    'convert -O qcow2 -o compat=0.10 packed.qcow2 x',
    'convert -O qcow2 -o preallocation=metadata data.qcow2 x',
    'convert -O qcow2 -o cluster_size=512 data.raw x',
    'convert -O raw odd.raw x',
    'convert -O qcow2 odd.raw x',
    'convert -O qcow2 zeroes.qcow2 x',
    'convert -O qcow2 ext.qcow2 x',
    'convert -O qcow2 -o extended_l2=on data.qcow2 x',
    'convert -O qcow2 nothing.qcow2 x',
    'convert -S 512 data.qcow2 x',
    'convert -S 0 data.qcow2 x',
    'convert -S 64k -O qcow2 data.raw x',
    'convert -r 100M -W -m 4 data.qcow2 x',
    'convert -t none -T none data.qcow2 x',
    'convert -t directsync data.qcow2 x',
    'convert -q -p -U -O qcow2 data.qcow2 x',
    'convert --salvage -O qcow2 data.qcow2 x',
    'convert -l first snap.qcow2 x',
    'convert -l 1 snap.qcow2 x',
    'convert -l snapshot.name=1 snap.qcow2 x',
    'convert -l snapshot.id=1,snapshot.name=first -O qcow2 snap.qcow2 x',
    'convert -O raw data.qcow2 v2.qcow2 data.raw x',
    'convert -O qcow2 data.qcow2 zeroes.qcow2 x',
    'convert -O qcow2 -B data.qcow2 -F qcow2 over.qcow2 x',
    'convert -O qcow2 -o backing_file=data.qcow2,backing_fmt=qcow2 over.qcow2 x',
    'convert --image-opts driver=qcow2,file.filename=data.qcow2 x',
    'convert -n -O raw data.qcow2 longer.raw',
    'convert -n -O qcow2 data.qcow2 many.qcow2',
    'convert -n -O qcow2 -S 0 data.qcow2 zeroes.qcow2',
    'convert -n --target-is-zero -O raw data.qcow2 hole.raw',
    'convert -n --target-image-opts data.qcow2 driver=raw,file.filename=longer.raw',
  ])('%s', async (line) => {
    twins = new Twins(fixtures, line)
    await twins.expectSame(words(line))
    const target = words(line).at(-1)!.replace(/.*=/, '')
    const raw = (folder: string): Uint8Array => {
      qemuImg('convert', '-O', 'raw', join(folder, target), join(folder, 'content'))
      return readFileSync(join(folder, 'content'))
    }
    expect(Buffer.compare(raw(twins.ours), raw(twins.theirs)), 'the guest sees the same').toBe(0)
    const [theirInfo, ourInfo] = [twins.theirs, twins.ours].map((folder) => JSON.parse(qemuImg('info', '--output=json', join(folder, target))) as Record<string, unknown>)
    for (const name of ['virtual-size', 'cluster-size', 'format', 'format-specific', 'backing-filename', 'backing-filename-format']) expect(ourInfo![name], name).toEqual(theirInfo![name])
    // Never much larger.
    expect(ourInfo!['actual-size'] as number).toBeLessThanOrEqual((theirInfo!['actual-size'] as number) * 1.1 + 131072)
    if (ourInfo!['format'] === 'qcow2') expect(checkImage(join(twins.ours, target)).status).toBe(0)
  })

  test.each([
    'convert',
    'convert data.qcow2',
    'convert -o',
    'convert -O foo data.qcow2 x',
    'convert -O qcow2 -o nocoww=on data.qcow2 x',
    'convert -f foo -O raw data.qcow2 x',
    'convert -f raw -O raw absent x',
    'convert -O raw data.qcow2 absent/x',
    'convert -O qcow2 data.qcow2 absent/x',
    'convert -O raw data.qcow2 sub',
    "convert -O raw data.qcow2 ''",
    'convert -n -O raw data.qcow2 absent',
    'convert -n -O raw data.qcow2 odd.raw',
    'convert -c -O raw data.qcow2 x',
    'convert -O qcow2 -o foo=bar data.qcow2 x',
    'convert -O qcow2 -o cluster_size=3 data.qcow2 x',
    'convert -O qcow2 -B data.qcow2 over.qcow2 x',
    'convert -O raw -B data.qcow2 -F qcow2 over.qcow2 x',
    'convert -O qcow2 -F qcow2 over.qcow2 x',
    'convert -O qcow2 -B data.qcow2 -F qcow2 data.qcow2 over.qcow2 x',
    'convert -S foo data.qcow2 x',
    'convert -S 100 data.qcow2 x',
    'convert -S 32M data.qcow2 x',
    'convert -S 9E data.qcow2 x',
    'convert -m 0 data.qcow2 x',
    'convert -m 17 data.qcow2 x',
    'convert -m foo data.qcow2 x',
    'convert -r foo data.qcow2 x',
    'convert -r 9E data.qcow2 x',
    'convert -t foo data.qcow2 x',
    'convert -T foo data.qcow2 x',
    'convert -l absent snap.qcow2 x',
    "convert -l '' snap.qcow2 x",
    'convert -l snapshot.id=9 snap.qcow2 x',
    'convert -l snapshot.foo=9 snap.qcow2 x',
    'convert -l first snap.qcow2 snap.qcow2 x',
    'convert -l first data.raw x',
    'convert --target-is-zero data.qcow2 x',
    'convert --target-image-opts data.qcow2 driver=raw,file.filename=data.raw',
    'convert -n --target-image-opts -O raw data.qcow2 driver=raw,file.filename=data.raw',
    'convert --image-opts -f raw driver=qcow2,file.filename=data.qcow2 x',
    'convert -O qcow2 data.qcow2 data.qcow2',
    'convert -o preallocation=metadata -c -O qcow2 data.qcow2 x',
    'convert -n -o compat=0.10 -O qcow2 data.qcow2 v2.qcow2',
    'convert orphan.qcow2 x',
    'convert --output=json data.qcow2 x',
  ])('refuses: %s', async (line) => {
    twins = new Twins(fixtures, line)
    await twins.expectSame(words(line))
    // What fails leaves nothing behind, in which we are better than the reference.
    expect(existsSync(join(twins.ours, 'x'))).toBe(false)
  })

  test('a target with a missing backing file is removed again', async () => {
    twins = new Twins(fixtures, 'over.qcow2')
    await twins.expectSame(words('convert -O qcow2 -B absent -F qcow2 over.qcow2 x'))
    expect(existsSync(join(twins.ours, 'x'))).toBe(false)
  })

  test('an existing target stays when the copy fails', async () => {
    twins = new Twins(fixtures, 'odd.raw')
    const before = readdirSync(twins.ours)
    const { status } = await ours(twins.ours, words('convert -O qcow2 -B absent -F qcow2 data.qcow2 odd.raw'))
    expect(status).toBe(1)
    expect(readdirSync(twins.ours)).toEqual(before)
  })

  test('progress as text has the form of the reference', async () => {
    twins = new Twins(fixtures, '')
    const { stdout, status } = await ours(twins.ours, words('convert -p -O qcow2 data.qcow2 x'))
    expect(status).toBe(0)
    expect(stdout).toMatch(/^( {4}\(\d+\.\d\d\/100%\)\r)+\n$/)
    expect(stdout.startsWith('    (0.00/100%)\r')).toBe(true)
    expect(stdout.endsWith('    (100.00/100%)\r\n')).toBe(true)
  })

  test('progress on a terminal is a bar with speed and time', async () => {
    twins = new Twins(fixtures, '')
    const { stdout } = await ours(twins.ours, words('convert -p -O qcow2 data.qcow2 x'), { columns: 120 })
    const bars = stdout.split('\r').filter((line) => line !== '')
    expect(bars.at(-1)).toMatch(/^\[#{30}\] 100\.0 % {2}192 KiB of 192 KiB {2}[\d.e+]+ [KMG]?i?B\/s {2}in 0:0\d\u001b\[K\n$/)
    const narrow = await ours(twins.ours, words('convert -p -O qcow2 data.qcow2 y'), { columns: 72 })
    for (const bar of narrow.stdout.trimEnd().split('\r').slice(1)) expect(bar.replace('\u001b[K', '').length).toBeLessThan(72)
    expect(narrow.stdout).toMatch(/in 0:0\d\u001b\[K\n$/)
  })

  test('progress as JSON is one object a line, the last one complete', async () => {
    twins = new Twins(fixtures, '')
    const { stdout } = await ours(twins.ours, words('convert --progress json -O qcow2 data.qcow2 x'))
    const lines = stdout.trimEnd().split('\n').map((line) => JSON.parse(line) as Record<string, number>)
    expect(lines.at(-1)).toMatchObject({ done: 196608, total: 196608, percent: 100, secondsLeft: 0 })
  })

  test('what is not known is refused, not ignored', async () => {
    twins = new Twins(fixtures, '')
    for (const line of ['convert -C data.qcow2 x', 'convert --progress=xml data.qcow2 x']) {
      const { status, stderr } = await ours(twins.ours, words(line))
      expect(status, line).toBe(1)
      expect(stderr, line).toMatch(/^qemu-img: (unrecognized option|--progress must be)/)
    }
  })
})
