import { describe, expect, it } from 'vitest'
import { check, manifest } from './planted-workspace.ts'

const RAW = 'packages/formats/raw'
const PEER = { peerDependencies: { '@blockloom/block-driver': 'workspace:^' } }
const raw = (changes: object) => check({ [`${RAW}/package.json`]: manifest(RAW, { ...PEER, ...changes }) })

describe('package.json', () => {
  it.each([
    ['a name that is not the folder’s', { name: '@blockloom/raw' }, "the folder makes it '@blockloom/format-raw'"],
    ['the contract as a dependency', { dependencies: PEER.peerDependencies }, "'@blockloom/block-driver' is a peer"],
    ['no contract at all', { peerDependencies: {} }, "'@blockloom/block-driver' is missing"],
    ['a fixed range', { peerDependencies: { '@blockloom/block-driver': 'workspace:*' } }, "write 'workspace:^'"],
    ['another license', { license: 'ISC' }, "not 'MIT'"],
    ['side effects', { sideEffects: true }, 'importing has no effects'],
    ['another engine', { engines: { node: '>=18' } }, "not '>=22.15'"],
    ['CommonJS', { type: 'commonjs' }, "not 'module'"],
    ['no README in files', { files: ['dist', 'src', 'CHANGELOG.md'] }, "files does not list 'README.md'"],
    ['exports that publish sources', { publishConfig: { access: 'public', exports: { '.': './src/index.ts', './internal/*': null, './package.json': './package.json' } } }, "publishConfig.exports['.'] is not"],
    ['a published entry that sources lack', { exports: { './internal/*': null, './package.json': './package.json' } }, "publishConfig.exports['.'] has no counterpart"],
  ])('%s is refused', (_, changes, message) => {
    expect(raw(changes).join('\n')).toContain(message)
  })

  it('internals stay closed', () => {
    expect(raw({ exports: { '.': './src/index.ts' }, publishConfig: { access: 'public', exports: { '.': { types: './dist/index.d.ts', default: './dist/index.js' } } } })).toEqual([
      expect.stringContaining('no "./internal/*": null'),
    ])
  })

  it('a published package does not need a private one', () => {
    const findings = check({
      'tools/oracle/package.json': { name: '@blockloom/oracle', private: true },
      'packages/blockloom/package.json': manifest('packages/blockloom', { dependencies: { '@blockloom/oracle': 'workspace:^' } }),
    })
    expect(findings.join('\n')).toContain("'@blockloom/oracle' is private, this package is published")
  })
})

describe('project references', () => {
  it('are the dependencies, no fewer and no more', () => {
    expect(check({ [`${RAW}/tsconfig.json`]: {} })).toEqual([expect.stringContaining("references lack 'packages/block-driver'")])
    expect(check({ 'packages/hbitmap/tsconfig.json': { references: [{ path: '../block-driver' }] } })).toEqual([expect.stringContaining("references 'packages/block-driver', which is not a dependency")])
    expect(check({ 'tsconfig.json': { references: [] } })).toHaveLength(6)
  })

  it('have no cycle', () => {
    const loop = (name: string, other: string) => ({ [`tools/${name}/package.json`]: { name: `@blockloom/${name}`, private: true, dependencies: { [`@blockloom/${other}`]: 'workspace:*' } } })
    expect(check({ ...loop('a', 'b'), ...loop('b', 'a') }).join('\n')).toContain('packages depend on each other: tools/a -> tools/b -> tools/a')
  })
})

describe('the core knows no format', () => {
  const core = (source: string) => check({ 'packages/block-core/src/a.ts': source })

  it.each([
    ["export const a = (f: string) => f === 'qcow2'\n", 'qcow2'],
    ['export const isQcow2Header = 1\n', 'qcow2'],
    ['export const vmdkExtent = 1\n', 'vmdk'],
    ['export const QCOW2_MAGIC = 1\n', 'qcow2'],
    ['export const a = `not a vhdx image`\n', 'vhdx'],
    ["export const a = (f: string) => f === 'raw'\n", 'raw'],
    ['export class A {\n  readonly #luksHeader = 1\n  b = () => this.#luksHeader\n}\n', 'luks'],
  ])('%s', (source, format) => {
    expect(core(source).join('\n')).toContain(`names the format '${format}'`)
  })

  it('leaves ordinary words and comments alone', () => {
    expect(core("// qcow2 and vmdk do this\nexport const rawRead = 'parallel requests, raw bytes'\n")).toEqual([])
  })

  it('learns the names of new drivers', () => {
    const findings = check({ 'packages/formats/zfs/package.json': manifest('packages/formats/zfs', PEER), 'packages/block-core/src/a.ts': 'export const zfsPool = 1\n' })
    expect(findings.join('\n')).toContain("names the format 'zfs'")
  })
})

describe('sources', () => {
  it.each(['// oxlint-disable-next-line no-console', '/* eslint-disable */', '// @ts-ignore', '// @ts-nocheck'])('%s is refused', (comment) => {
    expect(check({ 'packages/hbitmap/src/a.ts': `${comment}\nexport {}\n` })).toEqual([expect.stringContaining('switches a check off')])
  })

  it.each(['packages/hbitmap/src/utils.ts', 'packages/hbitmap/src/common/a.ts', 'packages/hbitmap/test/helpers.ts'])('%s is refused', (file) => {
    expect(check({ [file]: 'export {}\n' })).toEqual([expect.stringContaining('name the concept')])
  })
})

describe('published packages', () => {
  it.each([
    ['README.md', 'has no README.md'],
    ['CHANGELOG.md', 'has neither a CHANGELOG.md nor a changeset'],
    ['etc/format-raw.api.md', 'has no etc/format-raw.api.md'],
  ])('need %s', (file, message) => {
    expect(check({ [`${RAW}/${file}`]: undefined })).toEqual([expect.stringContaining(message)])
  })

  it('a changeset stands in for a changelog', () => {
    expect(check({ [`${RAW}/CHANGELOG.md`]: undefined, '.changeset/first.md': "---\n'@blockloom/format-raw': major\n---\n\nFirst.\n" })).toEqual([])
  })
})

describe('the lock file', () => {
  it.each(['    resolution: {tarball: x.tgz}\n', "    resolution: {integrity: a, x: 'https://somewhere/x.tgz'}\n"])('refuses %s', (line) => {
    expect(check({ 'pnpm-lock.yaml': line })).toEqual([expect.stringContaining('holds a download address')])
  })

  it('npm settings name no registry', () => {
    expect(check({ '.npmrc': 'registry=//somewhere/\n' })).toEqual([expect.stringContaining('.npmrc:1: holds a download address')])
  })
})
