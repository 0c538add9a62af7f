import { createCipheriv } from 'node:crypto'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { oracleAvailable, tempFolder } from '@blockloom/oracle'
import { createImage, openImage } from 'blockloom'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { expectSame, ours, reference, words } from './support/side-by-side.ts'

const SECRET = '--object secret,id=s,data=pässword'
const secrets = { s: 'pässword' }
const LUKS = { 'encrypt.format': 'luks', 'encrypt.key-secret': 's', 'encrypt.iter-time': 0 }
const AES = { 'encrypt.format': 'aes', 'encrypt.key-secret': 's' }
const opts = (name: string, more = ''): string => `driver=qcow2,file.filename=${name},encrypt.key-secret=s${more}`

describe.runIf(oracleAvailable())('encrypted images', () => {
  let folder = ''

  beforeAll(async () => {
    folder = tempFolder()
    const make = async (name: string, options: Readonly<Record<string, unknown>>): Promise<void> => {
      const path = join(folder, name)
      await createImage(path, { format: 'qcow2', size: '1M', options, secrets })
      if (options['data_file'] !== undefined) return
      const encrypted = options['encrypt.key-secret'] !== undefined
      const target = encrypted ? `json:${JSON.stringify({ driver: 'qcow2', encrypt: { 'key-secret': 's' }, file: { driver: 'file', filename: path } })}` : path
      await using disk = await openImage(target, { format: 'qcow2', write: true, secrets })
      await disk.node.write(70_000, new Uint8Array(100_000).fill(7))
      await disk.flush()
    }
    await make('luks.qcow2', LUKS)
    await make('cbc.qcow2', { ...LUKS, 'encrypt.cipher-mode': 'cbc', 'encrypt.ivgen-alg': 'essiv', compat: '0.10' })
    await make('aes.qcow2', AES)
    await make('plain.qcow2', {})
    writeFileSync(join(folder, 'pw.txt'), 'pässword')
    writeFileSync(join(folder, 'pw.b64'), `${Buffer.from('pässword').toString('base64')}\n`)
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  test.each([
    'secret', 'secret,id=a', 'secret,id=a,data=x,file=y', 'foo,id=a', 'secret,id=a,data=x,format=hex', 'secret,id=a,data=x,format=RAW',
    'secret,data=x', 'id=a,data=x', 'qom-type=secret,id=a,data=x', 'secret,id=a,data=x,foo=1', 'secret,id=1a,data=x', 'secret,id=,data=x',
    'secret,id=a,file=missing', 'secret,id=a,file=.', 'secret,id=a,file=pw.txt', 'secret,id=a,file=pw.b64,format=base64', 'secret,id=a,data=%,format=base64',
    'secret,id=a,data=x,keyid=b', 'secret,id=a,data=x,id=b', 'secret,id=a,data=x,,y', 'secret,id=a,data=x,', 'secret,id=a,data', 'secret,id=a,iv,data=x',
    'secret,id=a,data=x,iv=AAAA', 'secret,id=a,data.x=1', 'secret,=5', 'secret,a=5=6', 'no', 'nothing', 'secret,help', 'secret,?',
    '{"qom-type":"secret","id":"a","data":"x"}', '{"qom-type":"secret","id":"a","data":5}', '{"qom-type":"secret","id":"a","data":"x","foo":"y"}',
    '{"id":"a"}', '{"qom-type":"secret"}', '{"qom-type":7}', '[]',
  ])('--object %s', (object) => expectSame(folder, ['info', '--object', object, 'plain.qcow2']))

  test.each([
    'info --object secret,id=a,data=x --object secret,id=a,data=y plain.qcow2',
    'info --object secret,id=k,data=short --object secret,id=a,data=x,keyid=k plain.qcow2',
    'bench --object secret,id=a,data=x plain.qcow2',
    'check --object foo plain.qcow2', 'compare --object foo x y', 'convert --object foo x y', 'create --object foo x', 'map --object foo x',
    'measure --object foo x', 'resize --object foo plain.qcow2 2M', 'snapshot --object foo x', 'info --obj foo x',

    'info luks.qcow2', 'info --output=json luks.qcow2', 'info cbc.qcow2', 'info --output=json cbc.qcow2', 'info aes.qcow2', 'info --output=json aes.qcow2',
    'map luks.qcow2', 'map aes.qcow2', 'check luks.qcow2', 'check aes.qcow2', 'compare luks.qcow2 plain.qcow2', 'convert luks.qcow2 -O raw x.raw', 'snapshot -l aes.qcow2',
    'measure -O qcow2 luks.qcow2', 'resize luks.qcow2 2M', 'convert aes.qcow2 -O qcow2 x.qcow2',
    ...['luks.qcow2', 'cbc.qcow2', 'aes.qcow2'].flatMap((name) => [
      `map --output=json ${SECRET} --image-opts ${opts(name)}`, `map ${SECRET} --image-opts ${opts(name)}`, `check ${SECRET} --image-opts ${opts(name)}`,
      `compare ${SECRET} --image-opts ${opts(name)} driver=qcow2,file.filename=plain.qcow2`, `measure -O raw ${SECRET} --image-opts ${opts(name)}`,
      `snapshot -l ${SECRET} --image-opts ${opts(name)}`,
    ]),
    `check --object secret,id=s,file=pw.txt --image-opts ${opts('luks.qcow2')}`,
    `check --object secret,id=s,file=pw.b64,format=base64 --image-opts ${opts('luks.qcow2')}`,
    `check --object secret,id=s,data=wrong --image-opts ${opts('luks.qcow2')}`,
    `check --image-opts ${opts('luks.qcow2')}`,
    `check ${SECRET} --image-opts ${opts('luks.qcow2', ',encrypt.format=luks')}`,
    `check ${SECRET} --image-opts ${opts('luks.qcow2', ',encrypt.format=aes')}`,
    `check ${SECRET} --image-opts ${opts('plain.qcow2', ',encrypt.format=aes')}`,
    `check ${SECRET} --image-opts ${opts('plain.qcow2')}`,

    'create -f qcow2 -o help', 'create -q -f qcow2 -o encrypt=luks x.qcow2 1M', 'create -q -f qcow2 -o encrypt.foo=1 x.qcow2 1M',
    'create -f qcow2 -o encryption=on x.qcow2 1M', 'create -f qcow2 -o encryption=maybe x.qcow2 1M', 'create -f qcow2 -o encrypt.format=luks x.qcow2 1M',
    `create ${SECRET} -f qcow2 -o encrypt.format=foo,encrypt.key-secret=s x.qcow2 1M`, `create ${SECRET} -f qcow2 -o encrypt.key-secret=s x.qcow2 1M`,
    `create ${SECRET} -f qcow2 -o encryption=on,encrypt.format=aes,encrypt.key-secret=s x.qcow2 1M`,
    `create ${SECRET} -f qcow2 -o encrypt.format=aes,encrypt.key-secret=t x.qcow2 1M`,
    `create ${SECRET} -f qcow2 -o encrypt.format=aes,encrypt.key-secret=s,encrypt.cipher-alg=aes-128 x.qcow2 1M`,
    `create ${SECRET} -f qcow2 -o encrypt.format=luks,encrypt.key-secret=s,encrypt.hash-alg=foo x.qcow2 1M`,
    `create ${SECRET} -f qcow2 -o encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=x x.qcow2 1M`,
    `create -f qcow2 -o encryption=off,encrypt.iter-time=1,encrypt.hash-alg=x,encrypt.ivgen-hash-alg=x,encrypt.ivgen-alg=y,encrypt.cipher-mode=z,encrypt.cipher-alg=a,encrypt.key-secret=k,encrypt.format=foo x.qcow2 1M`,
    `create ${SECRET} -f qcow2 -o encrypt.format=aes,encrypt.key-secret=s new.qcow2 1M`,
    'create -f qcow2 -b luks.qcow2 -F qcow2 new.qcow2', 'create -f qcow2 -b luks.qcow2 -F qcow2 new.qcow2 2M', 'create -f qcow2 -b luks.qcow2 new.qcow2',
    'convert -c -O qcow2 -o encrypt.format=aes plain.qcow2 x.qcow2', 'convert -c -O qcow2 -o encryption=on plain.qcow2 x.qcow2',
    'convert -O qcow2 -o encrypt.format=aes plain.qcow2 x.qcow2', `convert ${SECRET} -O qcow2 -o encryption=on,encrypt.key-secret=t plain.qcow2 x.qcow2`,
    'measure -O qcow2 -o encrypt.format=aes --size 1M', 'measure -O qcow2 -o encrypt.format=luks --size 1M', 'measure -O qcow2 -o encryption=on,encrypt.cipher-alg=x --size 1M',
    `measure ${SECRET} -O qcow2 -o encrypt.format=luks,encrypt.key-secret=s,encrypt.cipher-mode=foo plain.qcow2`,
  ])('%s', (line) => expectSame(folder, words(line)))

  test('convert, each reading what the other wrote', async () => {
    const at = (name: string): Buffer => readFileSync(join(folder, name))
    const good = async (...args: string[]): Promise<void> => expect(await ours(folder, args)).toEqual({ status: 0, stdout: '', stderr: '' })
    const theirs = (...args: string[]): void => expect(reference(folder, args)).toEqual({ status: 0, stdout: '', stderr: '' })
    theirs('convert', '-O', 'raw', 'plain.qcow2', 'wanted.raw')
    const secret = words(SECRET)
    for (const encrypt of ['encrypt.format=aes', 'encryption=on', 'encrypt.format=luks,encrypt.iter-time=10']) {
      await good('convert', ...secret, '-O', 'qcow2', '-o', `${encrypt},encrypt.key-secret=s`, 'plain.qcow2', 'ours.qcow2')
      theirs('convert', ...secret, '-O', 'raw', '--image-opts', opts('ours.qcow2'), 'found.raw')
      expect(at('found.raw').equals(at('wanted.raw'))).toBe(true)
      await good('convert', ...secret, '-O', 'raw', '--image-opts', opts('ours.qcow2'), 'found.raw')
      expect(at('found.raw').equals(at('wanted.raw'))).toBe(true)
    }
    theirs('create', '-q', ...secret, '-f', 'qcow2', '-o', 'encrypt.format=aes,encrypt.key-secret=s', 'theirs.qcow2', '1M')
    await good('convert', ...secret, '-n', '--target-image-opts', 'plain.qcow2', opts('theirs.qcow2'))
    theirs('convert', ...secret, '-O', 'raw', '--image-opts', opts('theirs.qcow2'), 'found.raw')
    expect(at('found.raw').equals(at('wanted.raw'))).toBe(true)
    const packed = await ours(folder, ['convert', ...secret, '-c', '-n', '--target-image-opts', 'plain.qcow2', opts('theirs.qcow2')])
    expect(packed).toMatchObject({ status: 1, stderr: expect.stringContaining('Compression not supported') })
  })

  test('what there is: secrets', async () => {
    const list = { status: 0, stdout: 'List of user creatable objects:\n  secret\n', stderr: '' }
    for (const object of ['help', 'foo,help']) expect(await ours(folder, ['info', '--object', object])).toEqual(list)
  })

  test('space for keys', { timeout: 60_000 }, async () => {
    const line = words(`measure ${SECRET} -O qcow2 -o encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=1,encrypt.cipher-alg=aes-128,encrypt.cipher-mode=cbc,cluster_size=4k --size 1M`)
    // The reference makes keys to see how much space they take, which fails on a busy host.
    let wanted = reference(folder, line)
    for (let attempt = 0; attempt < 20 && wanted.status !== 0; attempt++) wanted = reference(folder, line)
    expect(await ours(folder, line)).toEqual(wanted)
  })

  test('a target that cannot be encrypted is not left behind', async () => {
    expect((await ours(folder, words('convert -O qcow2 -o encrypt.format=luks,encrypt.key-secret=s plain.qcow2 gone.qcow2'))).status).toBe(1)
    expect(() => readFileSync(join(folder, 'gone.qcow2'))).toThrow('ENOENT')
  })

  test('snapshots and sizes of an encrypted image', async () => {
    const secret = words(SECRET)
    await ours(folder, ['create', '-q', ...secret, '-f', 'qcow2', '-o', 'encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10', 'work.qcow2', '1M'])
    const image = ['--image-opts', opts('work.qcow2')]
    expect(await ours(folder, ['snapshot', ...secret, '-c', 'one', ...image])).toMatchObject({ status: 0, stderr: '' })
    expect(await ours(folder, ['resize', ...secret, '--preallocation=metadata', ...image, '+1M'])).toMatchObject({ status: 0, stdout: 'Image resized.\n' })
    expect(reference(folder, ['check', '-q', ...secret, ...image])).toEqual({ status: 0, stdout: '', stderr: '' })
    writeFileSync(join(folder, 'zeroes.raw'), new Uint8Array(2 << 20))
    const same = ['compare', ...secret, '--image-opts', opts('work.qcow2'), 'driver=raw,file.filename=zeroes.raw']
    expect(reference(folder, same)).toMatchObject({ status: 0, stdout: 'Images are identical.\n' })
    expect(await ours(folder, ['convert', ...secret, '-l', 'one', '-O', 'raw', ...image, 'one.raw'])).toEqual({ status: 0, stdout: '', stderr: '' })
    expect(readFileSync(join(folder, 'one.raw')).equals(Buffer.alloc(1 << 20))).toBe(true)
  })

  test('a passphrase under another secret, and one from a pipe', async () => {
    const key = Buffer.alloc(32, 9)
    const iv = Buffer.alloc(16, 4)
    const cipher = createCipheriv('aes-256-cbc', key, iv)
    const data = Buffer.concat([cipher.update('pässword'), cipher.final()]).toString('base64')
    const objects = ['--object', `secret,id=master,data=${key.toString('base64')},format=base64`, '--object', `secret,id=s,data=${data},format=base64,keyid=master,iv=${iv.toString('base64')}`]
    await expectSame(folder, ['check', ...objects, '--image-opts', opts('luks.qcow2')])
  })
})
