import { spawnSync } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { oracleAvailable } from '@blockloom/oracle'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { fixtureFolder } from './support/fixtures.ts'
import { ours, reference, Twins, words } from './support/side-by-side.ts'

describe.runIf(oracleAvailable())('snapshot does what qemu-img does', () => {
  let fixtures: string
  let twins: Twins | undefined
  beforeAll(() => void (fixtures = fixtureFolder()))
  afterAll(() => rmSync(fixtures, { recursive: true, force: true }))
  afterEach(() => {
    twins?.remove()
    twins = undefined
  })

  /** Snapshots are dated by the clock. */
  const undated = (text: string): string => text.replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, 'DATE')

  test.each([
    ['-l snap.qcow2'],
    ['-lU snap.qcow2'],
    ['-q -l snap.qcow2'],
    ['snap.qcow2'],
    ['-l data.qcow2'],
    ['-l data.raw'],
    ['-c x data.raw'],
    ['-d x data.raw'],
    ['-c x data.qcow2', '-l data.qcow2'],
    ['-c x data.qcow2', '-c x data.qcow2', '-c 1 data.qcow2', '-d 1 data.qcow2', '-d x data.qcow2', '-l data.qcow2', '-d 2 data.qcow2'],
    ["-c 'a name with spaces, and = signs' v2.qcow2", '-l v2.qcow2'],
    ["-c '' data.qcow2", "-a '' data.qcow2", '-l data.qcow2', "-d '' data.qcow2", '-l data.qcow2'],
    [`-c ${'n'.repeat(300)} data.qcow2`, '-l data.qcow2', `-d ${'n'.repeat(300)} data.qcow2`],
    ['-c x -- data.qcow2', '-l data.qcow2'],
    ['-c x many.qcow2', '-l many.qcow2'],
    ['-c x ext.qcow2', '-l ext.qcow2'],
    ['-c x nothing.qcow2', '-a x nothing.qcow2', '-d x nothing.qcow2'],
    ['-c x packed.qcow2', '-d x packed.qcow2'],
    ['-a first snap.qcow2', '-l snap.qcow2'],
    ['-a 2 snap.qcow2'],
    ['-a 1 snap.qcow2'],
    ['-a nope snap.qcow2'],
    ['-d nope snap.qcow2'],
    ['-d 2 snap.qcow2'],
    ['-d 1 snap.qcow2', '-l snap.qcow2'],
    ['-d first snap.qcow2', '-l snap.qcow2'],
    ['-c s bitmap.qcow2', '-a s bitmap.qcow2'],
    ['-c x -l snap.qcow2'],
    ['-c x -a x snap.qcow2'],
    ['-l -l snap.qcow2'],
    ['-c'],
    ['-c x'],
    [''],
    ['-l snap.qcow2 data.qcow2'],
    ['-Z snap.qcow2'],
    ['-l -f qcow2 snap.qcow2'],
    ['-c x absent'],
    ['-l absent'],
    ['-U -c x snap.qcow2'],
    ['-c x corruptbit.qcow2'],
    ['--image-opts -l driver=qcow2,file.filename=snap.qcow2'],
    ['--image-opts -c y driver=qcow2,file.filename=data.qcow2', '-l data.qcow2'],
  ])('%s %s %s %s', async (...lines: (string | undefined)[]) => {
    const given = lines.filter((line) => line !== undefined)
    twins = new Twins(fixtures, given.join(' '))
    for (const line of given) await twins.expectSame(['snapshot', ...words(line)], undated)
    const name = /\S+\.qcow2/.exec(given.at(-1)!)?.[0].replace(/.*=/, '')
    if (name === undefined || name.includes('corrupt') || !existsSync(join(twins.ours, name))) return
    for (const folder of [twins.ours, twins.theirs]) expect(reference(folder, ['check', '-q', name])).toEqual({ status: 0, stdout: '', stderr: '' })
    const same = spawnSync('qemu-img', ['compare', '-q', join(twins.ours, name), join(twins.theirs, name)], { encoding: 'utf8' })
    expect(same.stderr + same.stdout).toBe('')
  })

  test('an external data file has no snapshots', async () => {
    twins = new Twins(fixtures, 'datafile.qcow2 datafile.raw')
    for (const line of ['-c x', '-a x', '-d x', '-l']) await twins.expectSame(['snapshot', ...words(line), 'datafile.qcow2'])
  })

  test('a raw image is not reverted', async () => {
    twins = new Twins(fixtures, 'data.raw')
    const { status, stderr } = await ours(twins.ours, ['snapshot', '-a', 'x', 'data.raw'])
    expect(status).toBe(1)
    // The reference opens the image again and repeats its warning.
    expect(stderr.split('\n').at(-2)).toBe(reference(twins.theirs, ['snapshot', '-a', 'x', 'data.raw']).stderr.split('\n').at(-2))
  })

  test('refcounts that are too small', async () => {
    twins = new Twins(fixtures, 'data.raw')
    for (const folder of [twins.ours, twins.theirs]) reference(folder, ['convert', '-O', 'qcow2', '-o', 'refcount_bits=1', 'data.raw', 'bits.qcow2'])
    await twins.expectSame(['snapshot', '-c', 'x', 'bits.qcow2'])
    expect(reference(twins.ours, ['snapshot', '-l', 'bits.qcow2'])).toEqual({ status: 0, stdout: '', stderr: '' })
  })

  test('the date is that of now', async () => {
    twins = new Twins(fixtures, 'data.qcow2')
    const before = Math.floor(Date.now() / 1000)
    expect(await ours(twins.ours, ['snapshot', '-c', 'x', 'data.qcow2'])).toEqual({ status: 0, stdout: '', stderr: '' })
    const { snapshots } = JSON.parse(reference(twins.ours, ['info', '--output=json', 'data.qcow2']).stdout) as { snapshots: { 'date-sec': number }[] }
    expect(snapshots[0]!['date-sec']).toBeGreaterThanOrEqual(before)
    expect(snapshots[0]!['date-sec']).toBeLessThanOrEqual(Math.ceil(Date.now() / 1000))
  })
})
