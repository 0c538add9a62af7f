import { rmSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { checkImage, oracleAvailable, qemuImg, qemuIo, SeededRandom } from '@blockloom/oracle'
import { openImage } from 'blockloom'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { dirtyAreas, flagsOf, killedWhileWriting, ourDirtyAreas } from './support/bitmaps.ts'
import { fixtureFolder } from './support/fixtures.ts'
import { ours, reference, Twins, words } from './support/side-by-side.ts'

/** Something to do with `b.qcow2`, which has 512 KiB at least. */
function randomLine(random: SeededRandom): string {
  const name = ['on', 'off', 'x', 'y'][random.below(4)]!
  const other = ['on', 'off', 'x', 'y'][random.below(4)]!
  const offset = random.below(400) * 1024 + random.below(1024)
  return [
    `bitmap --add -g ${512 * 2 ** random.below(10)} b.qcow2 ${name}`,
    `bitmap --remove b.qcow2 ${name}`,
    `bitmap --clear b.qcow2 ${name}`,
    `bitmap --${['enable', 'disable'][random.below(2)]} b.qcow2 ${name}`,
    `bitmap --merge ${other} b.qcow2 ${name}`,
    `bitmap --merge ${other} --clear --merge ${name} b.qcow2 ${name}`,
    `resize -q --shrink b.qcow2 ${1024 + random.below(1024)}k`,
    `write ${offset} ${1 + random.below(50_000)}`,
    `write ${offset} ${1 + random.below(2000)}`,
    `write ${offset} 512`,
  ][random.below(10)]!
}

/** Node names are generated. */
const unnamed = (text: string): string => text.replaceAll(/#block\d+/g, '#block')

describe.runIf(oracleAvailable())('bitmap does what qemu-img does', () => {
  let fixtures: string
  let twins: Twins | undefined
  beforeAll(() => {
    fixtures = fixtureFolder()
    const b = join(fixtures, 'b.qcow2')
    qemuImg('create', '-q', '-f', 'qcow2', b, '1M')
    qemuImg('bitmap', '--add', b, 'on')
    qemuImg('bitmap', '--add', '--disable', '-g', '4k', b, 'off')
    qemuIo(b, ['write 0 64k', 'write 300k 1k', 'discard 128k 64k'])
    qemuImg('bitmap', '--merge', 'on', b, 'off')
    qemuIo(b, ['write 900k 5k'])
    const broken = join(fixtures, 'broken.qcow2')
    qemuImg('convert', '--bitmaps', '-O', 'qcow2', b, broken)
    killedWhileWriting(broken)
    const other = join(fixtures, 'other.qcow2')
    qemuImg('create', '-q', '-f', 'qcow2', '-o', 'cluster_size=4k', other, '1M')
    qemuImg('bitmap', '--add', other, 'o1')
    qemuIo(other, ['write 512k 100'])
    qemuImg('bitmap', '--add', '-g', '512', other, 'o2')
    qemuIo(other, ['write 700k 100'])
    qemuImg('create', '-q', '-f', 'qcow2', join(fixtures, 'bigger.qcow2'), '2M')
    qemuImg('bitmap', '--add', join(fixtures, 'bigger.qcow2'), 'o1')
    qemuImg('create', '-q', '-f', 'qcow2', join(fixtures, 'huge.qcow2'), '60T')
  })
  afterAll(() => rmSync(fixtures, { recursive: true, force: true }))
  afterEach(() => {
    twins?.remove()
    twins = undefined
  })

  /** Both run the lines, and end with the same bitmaps, contents included, in images that are clean. */
  async function sameLines(lines: readonly string[], image: string, reader = ourDirtyAreas): Promise<void> {
    twins = new Twins(fixtures, [image, ...lines].join(' '))
    for (const line of lines) await twins.expectSame(words(line), unnamed)
    await sameBitmaps(twins, image, reader)
  }

  /** @param reader - who reads the contents; ours agrees with the reference's, as other tests show, and takes less time */
  async function sameBitmaps({ ours: mine, theirs }: Twins, image: string, reader = ourDirtyAreas): Promise<void> {
    const listed = flagsOf(join(theirs, image))
    expect(flagsOf(join(mine, image))).toEqual(listed)
    for (const { name, inUse } of listed) {
      if (!inUse) expect(await reader(join(mine, image), name), name).toEqual(await reader(join(theirs, image), name))
    }
    expect(checkImage(join(mine, image))).toMatchObject({ corruptions: 0, leaks: 0 })
  }

  test.each([
    ['bitmap --add b.qcow2 new'],
    ['bitmap --add -g 512 b.qcow2 new', 'bitmap --add -g 2G b.qcow2 newer', 'bitmap --add -g 0 b.qcow2 newest'],
    ['bitmap --granularity=1k --add --disable b.qcow2 new'],
    ['bitmap --add b.qcow2 on'],
    ['bitmap --add -g 1 b.qcow2 on'],
    ['bitmap --add -g 513 b.qcow2 new'],
    ['bitmap --add -g 4G b.qcow2 new'],
    ['bitmap --add -g 3G b.qcow2 new'],
    ['bitmap --add -g 8E b.qcow2 new'],
    ['bitmap --add -g x b.qcow2 new'],
    ["bitmap --add b.qcow2 ''"],
    [`bitmap --add b.qcow2 ${'n'.repeat(1023)}`],
    [`bitmap --add b.qcow2 ${'n'.repeat(1024)}`],
    [`bitmap --add b.qcow2 ${'ü'.repeat(511)}`, `bitmap --add b.qcow2 ${'ü'.repeat(512)}`],
    ["bitmap --add b.qcow2 'ü x'", "bitmap --disable b.qcow2 'ü x'"],
    ['bitmap --add --disable --clear --enable --disable b.qcow2 multi'],
    ['bitmap --add --merge off --disable b.qcow2 new'],
    ['bitmap --add --merge nope --disable b.qcow2 half'],
    ['bitmap --add --remove --add b.qcow2 again'],
    ['bitmap --add --add b.qcow2 twice'],
    ['bitmap --remove b.qcow2 on'],
    ['bitmap --remove b.qcow2 on', 'bitmap --remove b.qcow2 off', 'bitmap --remove b.qcow2 off'],
    ['bitmap --remove b.qcow2 nope'],
    ["bitmap --remove b.qcow2 ''"],
    ['bitmap --clear b.qcow2 on'],
    ['bitmap --clear b.qcow2 nope'],
    ['bitmap --enable b.qcow2 off'],
    ['bitmap --enable b.qcow2 nope'],
    ['bitmap --disable b.qcow2 on', 'bitmap --disable b.qcow2 on'],
    ['bitmap --disable b.qcow2 nope'],
    ['bitmap --merge on b.qcow2 off'],
    ['bitmap --merge off b.qcow2 on'],
    ['bitmap --merge on b.qcow2 on'],
    ['bitmap --merge nope b.qcow2 on'],
    ['bitmap --merge on b.qcow2 nope'],
    ['bitmap --clear --merge off --disable b.qcow2 on'],
    ['bitmap --merge o1 -b other.qcow2 -F qcow2 b.qcow2 off'],
    ['bitmap --merge o1 --merge o2 -b other.qcow2 b.qcow2 on'],
    ['bitmap --merge o1 --merge nope -b other.qcow2 -F qcow2 b.qcow2 on'],
    ['bitmap --add -g 1k --source-file=other.qcow2 --source-format=qcow2 --merge o1 --merge o2 b.qcow2 sum'],
    ['bitmap --merge o1 -b bigger.qcow2 -F qcow2 b.qcow2 on'],
    ['bitmap --merge o1 -b data.raw -F raw b.qcow2 on'],
    ['bitmap --merge o1 -b absent b.qcow2 on'],
    ['bitmap --merge on -b b.qcow2 b.qcow2 on'],
    ['bitmap --merge on -b broken.qcow2 b.qcow2 off'],
    ['bitmap --image-opts --add driver=qcow2,file.filename=b.qcow2 x'],
    ['bitmap --image-opts --add b.qcow2 x'],
    ['bitmap --object secret,id=s,data=x --add b.qcow2 x'],
    ['bitmap --object foo --add b.qcow2 x'],
    ['bitmap -f foo --add b.qcow2 x'],
    ['bitmap -f qcow2 --add absent x'],
  ])('%s %s %s', async (...lines: (string | undefined)[]) => {
    await sameLines(lines.filter((line) => line !== undefined), 'b.qcow2')
  })

  test.each([
    ['bitmap b.qcow2 on'],
    ['bitmap --add b.qcow2'],
    ['bitmap --add'],
    ['bitmap'],
    ['bitmap -g 512'],
    ['bitmap --add b.qcow2 x y'],
    ['bitmap --enable -g 512 b.qcow2 on'],
    ['bitmap -g 512 -F x -b y --remove b.qcow2 on'],
    ['bitmap -F qcow2 --merge on b.qcow2 off'],
    ['bitmap -F qcow2 --add b.qcow2 on'],
    ['bitmap -b other.qcow2 --add b.qcow2 on'],
    ['bitmap --merge'],
    ['bitmap -q --add b.qcow2 x'],
    ['bitmap -U --add b.qcow2 x'],
    ['bitmap --format=qcow2 --add b.qcow2 x'],
    ['bitmap --image-opts -f qcow2 --add b.qcow2 x'],
    ['bitmap --add data.raw x'],
    ['bitmap -f raw --add data.raw x'],
    ['bitmap -f raw --remove data.raw x'],
    ['bitmap -f raw --merge x data.raw x'],
    ['bitmap --add v2.qcow2 x'],
    ['bitmap --remove v2.qcow2 x'],
    ['bitmap --add -g 512 huge.qcow2 x'],
    ['bitmap --add -g 64k huge.qcow2 x', 'info huge.qcow2'],
    ['bitmap --add datafile.qcow2 x datafile.raw'],
  ])('%s %s', async (...lines: (string | undefined)[]) => {
    const given = lines.filter((line) => line !== undefined)
    twins = new Twins(fixtures, given.join(' '))
    const withoutDiskSize = (text: string): string => unnamed(text).replaceAll(/disk size: .*/g, '')
    for (const line of given) await twins.expectSame(words(line), withoutDiskSize)
  })

  test.each(['many.qcow2', 'ext.qcow2', 'over.qcow2', 'top.qcow2', 'snap.qcow2', 'packed.qcow2', 'datafile.qcow2', 'bitmap.qcow2', 'zeroes.qcow2'])('%s gets bitmaps', async (image) => {
    twins = new Twins(fixtures, `${image} datafile.raw`)
    for (const line of ['--add IMAGE x', '--add -g 4k IMAGE y', '--merge x IMAGE y', '--remove IMAGE x']) {
      await twins.expectSame(['bitmap', ...words(line.replace('IMAGE', image))])
    }
    await sameBitmaps(twins, image)
  })

  test('after a crash bitmaps can only be removed', async () => {
    const lines = ['--clear', '--enable', '--disable', '--merge off', '--merge on', '--add'].map((action) => `bitmap ${action} broken.qcow2 on`)
    await sameLines([...lines, 'bitmap --clear --remove broken.qcow2 on', 'bitmap --add broken.qcow2 new', 'bitmap --merge on broken.qcow2 new', 'bitmap --remove broken.qcow2 on'], 'broken.qcow2')
    expect(flagsOf(join(twins!.ours, 'broken.qcow2'))).toEqual([
      { name: 'off', granularity: 4096, auto: false, inUse: true },
      { name: 'new', granularity: 65536, auto: true, inUse: false },
    ])
  })

  test('bitmaps that cannot be stored are an error', async () => {
    twins = new Twins(fixtures, 'nothing.qcow2')
    const { status, stderr } = await ours(twins.ours, ['bitmap', '--add', 'nothing.qcow2', 'x'])
    expect(reference(twins.theirs, ['bitmap', '--add', 'nothing.qcow2', 'x']).stderr).toMatch(/^qemu-img: Lost persistent bitmaps during inactivation of node '#block\d+': /)
    expect(stderr).toMatch(/^qemu-img: Lost persistent bitmaps during inactivation of node '#block\d+': /)
    expect(status).toBe(1)
    expect(checkImage(join(twins.ours, 'nothing.qcow2'))).toMatchObject({ corruptions: 0, leaks: 0 })
  })

  test('info, measure and map tell of bitmaps as before', async () => {
    twins = new Twins(fixtures, 'b.qcow2 broken.qcow2')
    for (const image of ['b.qcow2', 'broken.qcow2']) {
      for (const line of ['info IMAGE', 'info --output=json IMAGE', 'measure -O qcow2 IMAGE', 'measure --output=json -O qcow2 -o cluster_size=4k IMAGE', 'measure -O raw IMAGE', 'map --output=json IMAGE', 'check IMAGE']) {
        await twins.expectSame(words(line.replace('IMAGE', image)), (text) => text.replaceAll(/disk size: .*/g, '').replaceAll(/"actual-size": \d+/g, ''))
      }
    }
  })

  test.each([
    [['resize -q b.qcow2 2M']],
    [['resize -q --shrink b.qcow2 310k', 'resize -q b.qcow2 1M']],
    [['resize -q --shrink b.qcow2 512', 'resize -q b.qcow2 64k', 'bitmap --enable b.qcow2 off']],
    [['resize -q b.qcow2 +700k', 'resize -q --shrink b.qcow2 -1M']],
    [['bitmap --add -g 2G b.qcow2 wide', 'resize -q b.qcow2 20G', 'resize -q --shrink b.qcow2 1M']],
  ])('resizing: %s', async (lines) => {
    await sameLines(lines, 'b.qcow2', dirtyAreas)
  })

  test('resizing with a backing file adds clean bytes', async () => {
    twins = new Twins(fixtures, 'over.qcow2')
    for (const line of ['bitmap --add over.qcow2 x', 'resize -q over.qcow2 20M']) await twins.expectSame(words(line))
    await sameBitmaps(twins, 'over.qcow2', dirtyAreas)
  })

  test('an image with inconsistent bitmaps is not resized', async () => {
    twins = new Twins(fixtures, 'broken.qcow2')
    for (const line of ['resize broken.qcow2 2M', 'resize --shrink broken.qcow2 512k']) await twins.expectSame(words(line))
    expect(flagsOf(join(twins.ours, 'broken.qcow2')).every(({ inUse }) => inUse)).toBe(true)
  })

  test('an image with bitmaps does not go back to a snapshot', async () => {
    twins = new Twins(fixtures, 'b.qcow2')
    for (const line of ['-c s', '-a s', '-d s']) await twins.expectSame(['snapshot', ...words(line), 'b.qcow2'])
    await sameBitmaps(twins, 'b.qcow2')
  })

  test('committing is recorded below, and not above', async () => {
    twins = new Twins(fixtures, 'over.qcow2')
    for (const line of ['bitmap --add data.qcow2 below', 'bitmap --add over.qcow2 above']) await twins.expectSame(words(line))
    for (const folder of [twins.ours, twins.theirs]) qemuIo(join(folder, 'over.qcow2'), ['write 200k 10k'])
    for (const line of ['bitmap --clear over.qcow2 above', 'commit over.qcow2']) await twins.expectSame(words(line))
    await sameBitmaps(twins, 'over.qcow2')
    await sameBitmaps(twins, 'data.qcow2')
    expect(await ourDirtyAreas(join(twins.ours, 'over.qcow2'), 'above')).toEqual([])
  })

  test('what rebasing writes is recorded', async () => {
    twins = new Twins(fixtures, 'over.qcow2')
    for (const line of ['bitmap --add over.qcow2 b', "rebase -b '' over.qcow2"]) await twins.expectSame(words(line))
    await sameBitmaps(twins, 'over.qcow2')
  })

  test('repairing keeps bitmaps', async () => {
    twins = new Twins(fixtures, 'b.qcow2')
    for (const folder of [twins.ours, twins.theirs]) truncateSync(join(folder, 'b.qcow2'), 2 << 20)
    await ours(twins.ours, ['check', '-q', '-r', 'all', 'b.qcow2'])
    reference(twins.theirs, ['check', '-q', '-r', 'all', 'b.qcow2'])
    await sameBitmaps(twins, 'b.qcow2')
  })

  describe('convert --bitmaps', () => {
    test.each([
      ['convert --bitmaps -O qcow2 b.qcow2 out.qcow2'],
      ['convert --bitmaps -c -O qcow2 -o cluster_size=4k b.qcow2 out.qcow2'],
      ['convert --bitmaps --skip-broken-bitmaps -f qcow2 -O qcow2 b.qcow2 out.qcow2'],
      ['create -q -f qcow2 out.qcow2 1M', 'bitmap --add out.qcow2 own', 'convert --bitmaps -n -O qcow2 b.qcow2 out.qcow2'],
      ['snapshot -c s b.qcow2', 'convert --bitmaps -l s -O qcow2 b.qcow2 out.qcow2'],
      ['convert --bitmaps -O qcow2 data.qcow2 out.qcow2'],
      ['convert --bitmaps --skip-broken-bitmaps -O qcow2 broken.qcow2 out.qcow2'],
      ['convert -O qcow2 b.qcow2 out.qcow2'],
    ])('%s %s %s', async (...lines: (string | undefined)[]) => {
      await sameLines(lines.filter((line) => line !== undefined), 'out.qcow2', dirtyAreas)
    })

    test.each([
      ['convert --bitmaps -O raw b.qcow2 out.raw'],
      ['convert --bitmaps -O qcow2 -o compat=0.10 b.qcow2 out.qcow2'],
      ['convert --bitmaps -f raw -O qcow2 data.raw out.qcow2'],
      ['convert --bitmaps -O qcow2 v2.qcow2 out.qcow2'],
      ['convert --bitmaps -O qcow2 b.qcow2 b.qcow2 out.qcow2'],
      ['convert --bitmaps -O foo data.raw data.raw out.qcow2'],
      ['convert --bitmaps -O raw -c b.qcow2 out.qcow2'],
      ['convert --bitmaps -O qcow2 -o bad=1 b.qcow2 out.qcow2'],
      ['convert --skip-broken-bitmaps'],
      ['convert --skip-broken-bitmaps -O qcow2 -o help'],
      ['convert --skip-broken-bitmaps -O qcow2 b.qcow2 out.qcow2'],
      ['convert --bitmaps -O qcow2 broken.qcow2 out.qcow2'],
      ['convert --bitmaps -O raw broken.qcow2 out.raw'],
      ['create -q -f qcow2 out.qcow2 1M', 'bitmap --add out.qcow2 on', 'convert --bitmaps -n -O qcow2 b.qcow2 out.qcow2'],
      ['create -q -f qcow2 out.qcow2 1M', 'bitmap --add out.qcow2 off', 'convert --bitmaps -n -O qcow2 b.qcow2 out.qcow2'],
      ['convert --bitmaps -n -O qcow2 b.qcow2 bigger.qcow2'],
      ['create -q -f raw out.raw 1M', 'convert --bitmaps -n -O raw b.qcow2 out.raw'],
    ])('is refused: %s %s %s', async (...lines: (string | undefined)[]) => {
      const given = lines.filter((line) => line !== undefined)
      twins = new Twins(fixtures, given.join(' '))
      for (const line of given) await twins.expectSame(words(line), unnamed)
    })

    test('a copy that fails adds no bitmap to a target that is there', async () => {
      twins = new Twins(fixtures, 'b.qcow2')
      await ours(twins.ours, words('create -q -f qcow2 out.qcow2 1M'))
      await ours(twins.ours, words('bitmap --add out.qcow2 on'))
      expect(await ours(twins.ours, words('convert --bitmaps -n -O qcow2 b.qcow2 out.qcow2'))).toMatchObject({ status: 1 })
      expect(flagsOf(join(twins.ours, 'out.qcow2')).map(({ name }) => name)).toEqual(['on'])
    })
  })

  test('both read the same from a bitmap', async () => {
    twins = new Twins(fixtures, 'b.qcow2 other.qcow2')
    for (const [image, name] of [['b.qcow2', 'on'], ['b.qcow2', 'off'], ['other.qcow2', 'o1'], ['other.qcow2', 'o2']] as const) {
      const areas = await dirtyAreas(join(twins.theirs, image), name)
      expect(areas.length).toBeGreaterThan(0)
      expect(await ourDirtyAreas(join(twins.theirs, image), name)).toEqual(areas)
    }
  })

  test('what is written through us is in the bitmaps that the reference reads', async () => {
    twins = new Twins(fixtures, 'b.qcow2')
    const lines = ['write -P 1 5000 512', 'write -z 200k 10k', 'discard 512k 64k', 'write -P 3 1023k 1k']
    qemuIo(join(twins.theirs, 'b.qcow2'), lines)
    {
      await using disk = await openImage(join(twins.ours, 'b.qcow2'), { format: 'qcow2', write: true, unmap: true })
      expect(disk.bitmaps.list.map(({ name, enabled }) => ({ name, enabled }))).toEqual([{ name: 'on', enabled: true }, { name: 'off', enabled: false }])
      await disk.write(5000, new Uint8Array(512).fill(1))
      await disk.zero(200 << 10, 10 << 10)
      await disk.discard(512 << 10, 64 << 10)
      await disk.write(1023 << 10, new Uint8Array(1024).fill(3))
    }
    await sameBitmaps(twins, 'b.qcow2', dirtyAreas)
    expect(await dirtyAreas(join(twins.ours, 'b.qcow2'), 'on')).toContainEqual({ offset: 512 << 10, bytes: 64 << 10 })
  })

  test('what ends without being closed makes bitmaps inconsistent, for both', async () => {
    twins = new Twins(fixtures, 'b.qcow2')
    const image = join(twins.ours, 'b.qcow2')
    killedWhileWriting(image, 'ours')
    expect(flagsOf(image).map(({ inUse }) => inUse)).toEqual([true, true])
    for (const args of [['bitmap', '--clear', 'b.qcow2', 'on'], ['convert', '--bitmaps', '-O', 'qcow2', 'b.qcow2', 'x.qcow2']]) {
      const wanted = reference(twins.ours, args)
      expect(wanted.status).toBe(1)
      expect(await ours(twins.ours, args)).toEqual(wanted)
    }
    expect(checkImage(image)).toMatchObject({ corruptions: 0 })
    await using disk = await openImage(image, { format: 'qcow2' })
    expect(disk.bitmaps.list.every(({ inconsistent }) => inconsistent)).toBe(true)
    await expect(disk.bitmaps.load('on')).rejects.toMatchObject({ code: 'corrupt' })
  })

  test('an image that both work on in turn has the bitmaps of one that only the reference works on', async () => {
    const seed = Number(process.env['BLOCKLOOM_SEED'] ?? Math.floor(Math.random() * 1e9))
    const random = new SeededRandom(seed)
    twins = new Twins(fixtures, 'b.qcow2 other.qcow2')
    const done: string[] = []
    for (let step = 0; step < 40; step++) {
      const byUs = random.below(2) === 0
      const line = randomLine(random)
      done.push(`${byUs ? 'us' : 'reference'}: ${line}`)
      const label = `BLOCKLOOM_SEED=${seed}\n${done.join('\n')}`
      if (!line.startsWith('write')) {
        const wanted = reference(twins.theirs, words(line))
        const got = byUs ? await ours(twins.ours, words(line)) : reference(twins.ours, words(line))
        expect({ ...got, stderr: unnamed(got.stderr) }, label).toEqual({ ...wanted, stderr: unnamed(wanted.stderr) })
        continue
      }
      const [, offset, bytes] = line.split(' ').map(Number)
      qemuIo(join(twins.theirs, 'b.qcow2'), [`write ${offset} ${bytes}`])
      if (!byUs) qemuIo(join(twins.ours, 'b.qcow2'), [`write ${offset} ${bytes}`])
      else {
        await using disk = await openImage(join(twins.ours, 'b.qcow2'), { format: 'qcow2', write: true })
        await disk.write(offset!, new Uint8Array(bytes!).fill(205))
      }
    }
    const { ours: mine, theirs } = twins
    expect(flagsOf(join(mine, 'b.qcow2')), `BLOCKLOOM_SEED=${seed}`).toEqual(flagsOf(join(theirs, 'b.qcow2')))
    for (const { name } of flagsOf(join(theirs, 'b.qcow2'))) {
      expect(await dirtyAreas(join(mine, 'b.qcow2'), name), `BLOCKLOOM_SEED=${seed} ${name}\n${done.join('\n')}`).toEqual(await dirtyAreas(join(theirs, 'b.qcow2'), name))
    }
    expect(checkImage(join(mine, 'b.qcow2')), `BLOCKLOOM_SEED=${seed}`).toMatchObject({ corruptions: 0, leaks: 0 })
    expect(reference(twins.root, ['compare', join(mine, 'b.qcow2'), join(theirs, 'b.qcow2')]).status, `BLOCKLOOM_SEED=${seed}`).toBe(0)
  })

  test('an image that is only read keeps its bitmaps trusted', async () => {
    twins = new Twins(fixtures, 'b.qcow2')
    const image = join(twins.ours, 'b.qcow2')
    const before = await dirtyAreas(image, 'on')
    killedWhileWriting(image, 'ours', 'nothing')
    expect(flagsOf(image).map(({ inUse }) => inUse)).toEqual([false, false])
    expect(await dirtyAreas(image, 'on')).toEqual(before)
  })
})
