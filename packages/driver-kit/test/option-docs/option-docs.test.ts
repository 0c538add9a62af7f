import { execFileSync, spawnSync } from 'node:child_process'
import { option } from '@blockloom/block-driver'
import { describe, expect, it } from 'vitest'
import { optionsHelp, optionsTable, qmpShape } from '../../src/index.ts'

const hasQemu = spawnSync('qemu-img', ['--version']).status === 0

// Types only: the words are the reference's own.
const vmdk = {
  size: option.size('Virtual disk size'),
  adapter_type: option.string('Virtual adapter type, can be one of ide (default), lsilogic, buslogic or legacyESX'),
  backing_file: option.string('File name of a base image'),
  backing_fmt: option.string("Must be 'vmdk' if present"),
  compat6: option.boolean('VMDK version 6 image', { default: false }),
  hwversion: option.string('VMDK hardware version', { default: '4' }),
  subformat: option.choice(['monolithicSparse', 'monolithicFlat'], 'VMDK flat extent format, can be one of {monolithicSparse (default) | monolithicFlat | twoGbMaxExtentSparse | twoGbMaxExtentFlat | streamOptimized} '),
  toolsversion: option.string('VMware guest tools version'),
  zeroed_grain: option.boolean('Enable efficient zero writes using the zeroed-grain GTE feature'),
}

const luks = {
  size: option.size('Virtual disk size'),
  'key-secret': option.string('ID of the secret that provides the keyslot passphrase'),
  'cipher-alg': option.string('Name of encryption cipher algorithm'),
  'cipher-mode': option.string('Name of encryption cipher mode'),
  'ivgen-alg': option.string('Name of IV generator algorithm'),
  'ivgen-hash-alg': option.string('Name of IV generator hash algorithm'),
  'hash-alg': option.string('Name of encryption hash algorithm'),
  'iter-time': option.integer('Time to spend in PBKDF in milliseconds'),
}

describe('optionsHelp', () => {
  it('aligns, sorts and flattens', () => {
    const schema = {
      size: option.size('Virtual disk size'),
      compat: option.string('Compatibility level'),
      data_file_raw: option.boolean('The external data file must stay valid as a raw image'),
      compat6: option.boolean('Six'),
      encrypt: option.object({ format: option.choice(['aes', 'luks'], 'Encrypt the image'), 'iter-time': option.integer('Milliseconds') }, 'Encryption'),
      encryption: option.boolean(''),
    }
    expect(optionsHelp(schema)).toBe(
      [
        'Supported options:',
        '  compat6=<bool (on/off)> - Six',
        '  compat=<str>           - Compatibility level',
        '  data_file_raw=<bool (on/off)> - The external data file must stay valid as a raw image',
        '  encrypt.format=<str>   - Encrypt the image',
        '  encrypt.iter-time=<num> - Milliseconds',
        '  encryption=<bool (on/off)>',
        '  size=<size>            - Virtual disk size',
        '',
      ].join('\n'),
    )
  })

  it.skipIf(!hasQemu).each([['vmdk', vmdk], ['luks', luks]])('is what qemu-img prints for %s', (format, schema) => {
    const theirs = execFileSync('qemu-img', ['create', '-f', format, '-o', 'help'], { encoding: 'utf8' })
    expect(optionsHelp(schema, `Supported ${format} options:`)).toBe(theirs.split('\n\n')[0] + '\n')
  })
})

const schema = {
  filename: option.string('File name | path', { required: true }),
  cluster_size: option.size('Cluster size', { default: 65536, min: 512, max: 2 * 1024 * 1024 }),
  limit: option.size('Limit', { min: 1536 }),
  depth: option.integer('Depth', { max: 9 }),
  ratio: option.number('Ratio', { default: 0.5 }),
  locking: option.choice(['on', 'off', 'auto'], 'Image locks', { default: 'auto', reopen: true }),
  lazy: option.boolean('Lazy', { default: false }),
  encrypt: option.object({ key: option.string('Key', { required: true, secret: true }), hint: option.string('Hint', { default: 'x', secret: true }) }, 'Encryption'),
}

describe('optionsTable', () => {
  it('is a Markdown table', () => {
    expect(optionsTable(schema)).toBe(
      [
        '| option | type | default |  |',
        '| --- | --- | --- | --- |',
        '| `filename` | string | (required) | File name \\| path |',
        '| `cluster_size` | size, 512 to 2M | `64k` | Cluster size |',
        '| `limit` | size, at least 1536 |  | Limit |',
        '| `depth` | integer, at most 9 |  | Depth |',
        '| `ratio` | number | `0.5` | Ratio |',
        '| `locking` | `on`, `off`, `auto` | `auto` | Image locks. May change while open |',
        '| `lazy` | `on`, `off` | `off` | Lazy |',
        '| `encrypt.key` | string | (required) | Key |',
        '| `encrypt.hint` | string |  | Hint |',
        '',
      ].join('\n'),
    )
  })
})

describe('qmpShape', () => {
  it('of an object with a shorthand is an alternate', () => {
    const check = option.object({ template: option.choice(['none', 'all'], 'Which'), table: option.boolean('Tables') }, 'Checks', { shorthand: 'template' })
    const template = { 'meta-type': 'enum', members: [{ name: 'none' }, { name: 'all' }] }
    const flags = { 'meta-type': 'object', members: [{ name: 'template', type: template, default: null }, { name: 'table', type: 'bool', default: null }] }
    expect(qmpShape({ check }).members).toEqual([{ name: 'check', type: { 'meta-type': 'alternate', members: [{ type: flags }, { type: template }] }, default: null }])
  })

  it('names types and what may be left out, as JSON', () => {
    const shape = qmpShape(schema)
    expect(JSON.parse(JSON.stringify(shape))).toEqual(shape)
    expect(shape).toEqual({
      'meta-type': 'object',
      members: [
        { name: 'filename', type: 'str' },
        { name: 'cluster_size', type: 'int', default: null },
        { name: 'limit', type: 'int', default: null },
        { name: 'depth', type: 'int', default: null },
        { name: 'ratio', type: 'number', default: null },
        { name: 'locking', type: { 'meta-type': 'enum', members: [{ name: 'on' }, { name: 'off' }, { name: 'auto' }] }, default: null },
        { name: 'lazy', type: 'bool', default: null },
        { name: 'encrypt', type: { 'meta-type': 'object', members: [{ name: 'key', type: 'str' }, { name: 'hint', type: 'str', default: null }] }, default: null },
      ],
    })
  })
})
