import { rmSync } from 'node:fs'
import { oracleAvailable } from '@blockloom/oracle'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { fixtureFolder } from './support/fixtures.ts'
import { ours, reference, Twins, words } from './support/side-by-side.ts'

describe.runIf(oracleAvailable())('amend does what qemu-img does', () => {
  let fixtures: string
  let twins: Twins
  beforeAll(() => void (fixtures = fixtureFolder()))
  afterAll(() => rmSync(fixtures, { recursive: true, force: true }))
  afterEach(() => twins.remove())

  const virtualSize = (text: string): string => text.replace(/^disk size:.*\n/m, '')

  test.each([
    '-o compat=0.10 data.qcow2',
    '-o compat=1.1 v2.qcow2',
    '-o compat=v3,refcount_bits=8,lazy_refcounts=on v2.qcow2',
    '-o compat=v3 -o refcount_bits=64 -o size=20M v2.qcow2',
    '-o lazy_refcounts data.qcow2',
    '-o lazy_refcounts=on -o nolazy_refcounts data.qcow2',
    '-f qcow2 -o refcount_bits=1 data.qcow2',
    '-o refcount_bits=0x8 data.qcow2',
    '-o size=1M,size=20M data.qcow2',
    '-o size=1M data.qcow2',
    '-o compat=0.10 snap.qcow2',
    '-o backing_file=base.raw over.qcow2',
    '-o size=20M over.qcow2',
    '-q -o size=20M data.qcow2',
    '-p -o size=20M data.qcow2',
    '-p -o lazy_refcounts=on data.qcow2',
    '-q -p -o lazy_refcounts=on data.qcow2',
    '-p -o compat=9 data.qcow2',
    '-p -o foo=9 data.qcow2',
    '-p -f qcow2 -o help',
    '-p -o size=1M absent',
    '-p -o size=1M',
    '-t none -o size=20M data.qcow2',
    '-t writethrough -o size=20M data.qcow2',
    '-t foo -o size=20M data.qcow2',
    '--force -o compat=1.1 data.qcow2',
    '--object secret,id=x,data=foo -o compat=1.1 data.qcow2',
    '--object secret,id=x -o compat=1.1 data.qcow2',
    '--object foo -o compat=1.1 data.qcow2',
    '--image-opts -o size=20M driver=qcow2,file.filename=data.qcow2',
    '--image-opts -f qcow2 -o size=20M driver=qcow2,file.filename=data.qcow2',
    '-o help',
    '-f qcow2 -o help',
    '-f qcow2 -o help absent',
    '-f qcow2 -o help one two',
    "-f qcow2 -o size=1M,'?'",
    '-o help data.qcow2',
    '-o size=1M,help data.qcow2',
    '-f raw -o help',
    '-f file -o help',
    '-f foo -o help',
    '-o help data.raw',
    '-f raw -o size=1M data.raw',
    '-f foo -o size=1M data.qcow2',
    '-o size=1M absent',
    '-o size=1M',
    '-o size=1M data.qcow2 data.raw',
    '-f qcow2 data.qcow2',
    '',
    '-x -o size=1M data.qcow2',
    '-U -o size=1M data.qcow2',
    "-o '' data.qcow2",
    '-o size=1M, data.qcow2',
    '-o ,size=1M data.qcow2',
    '-o cluster_size=4k data.qcow2',
    '-o cluster_size=4k,size=1M,preallocation=foo data.qcow2',
    '-o cluster_size=abc data.qcow2',
    '-o cluster_size=4k,foo=1 data.qcow2',
    '-o extended_l2=on data.qcow2',
    '-o compression_type=zstd data.qcow2',
    '-o encrypt.format=luks data.qcow2',
    '-o foo=1,size=abc data.qcow2',
    '-o size=abc,foo=1 data.qcow2',
    '-o size=abc,cluster_size=1 data.qcow2',
    '-o compat data.qcow2',
    '-o size data.qcow2',
    '-o size=100 data.qcow2',
    '-o size=8000T data.qcow2',
    '-o lazy_refcounts=maybe data.qcow2',
    '-o refcount_bits=3 data.qcow2',
    '-o refcount_bits=-1 data.qcow2',
    '-o refcount_bits=16k data.qcow2',
    '-o compat=2 data.qcow2',
    '-o compat= data.qcow2',
    '-o compat=0.10,lazy_refcounts=on data.qcow2',
    '-o compat=0.10,refcount_bits=8 data.qcow2',
    '-o data_file=x data.qcow2',
    '-o data_file_raw=on data.qcow2',
    '-o backing_file=x data.qcow2',
    '-o backing_fmt=raw data.qcow2',
    '-o backing_file= over.qcow2',
    '-o encrypt.state=active data.qcow2',
    '-o encrypt.keyslot=foo data.qcow2',
    '-o encrypt.iter-time=x data.qcow2',
    '-o encrypt.foo=x data.qcow2',
  ])('amend %s', async (line) => {
    twins = new Twins(fixtures, line)
    await twins.expectSame(['amend', ...words(line)])
    const image = words(line).find((word) => /^\w+\.qcow2$/.test(word))
    if (image === undefined) return
    await twins.expectSame(['info', image], virtualSize)
    await twins.expectSame(['check', image])
  })

  test('changes nothing if it cannot change everything, where the reference stops halfway', async () => {
    twins = new Twins(fixtures, 'snap.qcow2')
    const args = ['amend', '-o', 'size=12M,compat=0.10', 'snap.qcow2']
    await twins.expectSame(args)
    const size = (folder: string): unknown => (JSON.parse(reference(folder, ['info', '--output=json', 'snap.qcow2']).stdout) as Record<string, unknown>)['virtual-size']
    expect([size(twins.ours), size(twins.theirs)]).toEqual([4 << 20, 12 << 20])
  })

  test('adds a passphrase to an image with LUKS', async () => {
    twins = new Twins(fixtures, 'data.qcow2')
    const secret = (id: string): string[] => ['--object', `secret,id=${id},data=${id}`]
    const image = 'driver=qcow2,file.filename=luks.qcow2,encrypt.key-secret='
    const made = await ours(twins.ours, ['create', '-q', ...secret('a'), '-f', 'qcow2', '-o', 'encrypt.format=luks,encrypt.key-secret=a,encrypt.iter-time=10', 'luks.qcow2', '1M'])
    expect(made).toMatchObject({ status: 0, stderr: '' })
    const add = ['-o', 'encrypt.state=active,encrypt.new-secret=b,encrypt.iter-time=10']
    expect(await ours(twins.ours, ['amend', ...secret('a'), ...secret('b'), '--image-opts', ...add, `${image}a`])).toMatchObject({ status: 0, stderr: '' })
    expect(reference(twins.ours, ['map', ...secret('b'), '--image-opts', `${image}b`])).toMatchObject({ status: 0, stderr: '' })
    // The last key stays, unless one insists.
    const drop = ['-o', 'encrypt.state=inactive,encrypt.old-secret=b']
    expect(await ours(twins.ours, ['amend', ...secret('a'), ...secret('b'), '--image-opts', ...drop, `${image}a`])).toMatchObject({ status: 0, stderr: '' })
    const last = ['amend', ...secret('a'), '--image-opts', '-o', 'encrypt.state=inactive,encrypt.old-secret=a', `${image}a`]
    const theirs = reference(twins.ours, last)
    expect(await ours(twins.ours, last)).toEqual(theirs)
    expect(await ours(twins.ours, [...last.slice(0, 1), '--force', ...last.slice(1)])).toMatchObject({ status: 0, stderr: '' })
    expect(reference(twins.ours, ['map', ...secret('a'), '--image-opts', `${image}a`]).status).toBe(1)
  })

  test('shows progress that ends at the end, as text and as JSON', async () => {
    twins = new Twins(fixtures, 'data.qcow2')
    const text = await ours(twins.ours, ['amend', '-p', '-o', 'refcount_bits=64,compat=v3,size=20M', 'data.qcow2'])
    expect(text.stdout).toMatch(/^    \(0\.00\/100%\)\r(?:    \(\d+\.\d\d\/100%\)\r)*    \(100\.00\/100%\)\r\n$/)
    const json = await ours(twins.ours, ['amend', '--progress=json', '-o', 'refcount_bits=16', 'data.qcow2'])
    const lines = json.stdout.trim().split('\n').map((line) => JSON.parse(line) as { done: number; total: number })
    expect(lines.at(-1)!.done).toBe(lines.at(-1)!.total)
  })

  test('what one tool amends the other amends back', async () => {
    twins = new Twins(fixtures, 'data.qcow2')
    const there = 'compat=0.10'
    const back = 'compat=1.1,refcount_bits=32,lazy_refcounts=on'
    expect(reference(twins.theirs, ['amend', '-o', there, 'data.qcow2']).status).toBe(0)
    expect((await ours(twins.theirs, ['amend', '-o', back, 'data.qcow2'])).status).toBe(0)
    expect((await ours(twins.ours, ['amend', '-o', there, 'data.qcow2'])).status).toBe(0)
    expect(reference(twins.ours, ['amend', '-o', back, 'data.qcow2']).status).toBe(0)
    await twins.expectSame(['info', 'data.qcow2'], virtualSize)
    expect(reference(twins.root, ['compare', 'ours/data.qcow2', 'theirs/data.qcow2']).stdout).toBe('Images are identical.\n')
  })
})
