import { describe, expect, it } from 'vitest'
import { check, manifest } from './planted-workspace.ts'

const core = (source: string) => check({ 'packages/block-core/src/a.ts': source })
const raw = (source: string) => check({ 'packages/formats/raw/src/a.ts': source })

describe('imports', () => {
  it('a workspace in order has no findings', () => {
    expect(check()).toEqual([])
  })

  it.each([
    ['a driver that reaches for the graph', "import { createGraph } from '@blockloom/block-core'\n", 'packages/formats/raw -> packages/block-core'],
    ['a type import', "import type { Node } from '@blockloom/block-core'\n", 'packages/formats/raw -> packages/block-core'],
    ['an inline import type', "export type N = import('@blockloom/block-core').Node\n", 'packages/formats/raw -> packages/block-core'],
    ['a dynamic import', "export const a = () => import('@blockloom/block-core')\n", 'packages/formats/raw -> packages/block-core'],
    ['a re-export', "export * from '@blockloom/block-core'\n", 'packages/formats/raw -> packages/block-core'],
    ['another driver', "import { file } from '@blockloom/protocol-file'\n", 'packages/formats/raw -> packages/protocols/file'],
    ['a package that does not exist', "import '@blockloom/nothing'\n", 'there is no such package'],
  ])('%s is refused', (_, source, message) => {
    expect(raw(source)).toEqual([expect.stringContaining(message)])
  })

  it('the core may not reach a driver, even where package.json lists it', () => {
    const findings = check({
      'packages/block-core/src/a.ts': "import '@blockloom/format-raw'\n",
      'packages/block-core/package.json': manifest('packages/block-core', { dependencies: { '@blockloom/block-driver': 'workspace:^', '@blockloom/format-raw': 'workspace:^' } }),
    })
    expect(findings).toContain('packages/block-core/src/a.ts:1: imports \'@blockloom/format-raw\': the arrows do not allow packages/block-core -> packages/formats/raw')
    expect(findings).toContain('packages/block-core/package.json: dependencies: the arrows do not allow packages/block-core -> packages/formats/raw')
  })

  it('an allowed package must be listed in package.json', () => {
    expect(core("import '@blockloom/hbitmap'\n")).toEqual([expect.stringContaining("imports '@blockloom/hbitmap', which package.json does not list")])
    expect(core("import 'left-pad'\n")).toEqual([expect.stringContaining("imports 'left-pad', which package.json does not list")])
    expect(core("import { BlockError } from '@blockloom/block-driver'\nexport { BlockError }\n")).toEqual([])
  })

  it('packages are entered by the front door', () => {
    expect(core("import '@blockloom/block-driver/src/block-error.ts'\n")).toEqual([expect.stringContaining("does not export './src/block-error.ts'")])
    expect(core("import '@blockloom/block-driver/internal/x'\n")).toEqual([expect.stringContaining("does not export './internal/x'")])
    expect(core("import '../../block-driver/src/index.ts'\n")).toEqual([expect.stringContaining('relative imports stay inside the package')])
    expect(core("import '../test/model.ts'\n")).toEqual([expect.stringContaining('sources import sources only')])
  })

  it('tests use dev dependencies, sources do not', () => {
    const changes = { 'packages/formats/raw/package.json': manifest('packages/formats/raw', { peerDependencies: { '@blockloom/block-driver': 'workspace:^' }, devDependencies: { '@blockloom/block-core': 'workspace:^' } }) }
    const source = "import { createGraph } from '@blockloom/block-core'\nexport { createGraph }\n"
    expect(check({ ...changes, 'packages/formats/raw/test/a.test.ts': source })).toEqual([])
    expect(check({ ...changes, 'packages/formats/raw/src/a.ts': source })).toHaveLength(1)
  })

  it('node:* belongs to protocols and to .node.ts files', () => {
    const source = "import { readFileSync } from 'node:fs'\nexport { readFileSync }\n"
    expect(raw(source)).toEqual([expect.stringContaining("imports 'node:fs': node:* belongs to")])
    expect(raw("import 'fs'\n")).toEqual([expect.stringContaining("write 'node:fs'")])
    expect(check({ 'packages/protocols/file/src/a.ts': source, 'packages/driver-kit/src/zstd.node.ts': source, 'packages/formats/raw/test/a.ts': source })).toEqual([])
  })

  it('a .node.ts file is reached through a condition only', () => {
    const file = { 'packages/driver-kit/src/zstd.node.ts': 'export {}\n' }
    expect(check({ ...file, 'packages/driver-kit/src/a.ts': "import './zstd.node.ts'\n" })).toEqual([expect.stringContaining('reach a .node.ts file through a conditional export')])
    expect(check({ ...file, 'packages/driver-kit/src/b.node.ts': "import './zstd.node.ts'\n" })).toEqual([])
    const entry = (inner: object | string, published: object) =>
      check({
        ...file,
        'packages/driver-kit/package.json': manifest('packages/driver-kit', {
          exports: { './zstd': inner, './internal/*': null },
          publishConfig: { access: 'public', exports: { './zstd': published, './internal/*': null } },
        }),
      })
    const compiled = { types: './dist/zstd.node.d.ts', default: './dist/zstd.node.js' }
    expect(entry('./src/zstd.node.ts', compiled)).toEqual([expect.stringContaining("without the 'node' condition")])
    expect(entry({ node: './src/zstd.node.ts', default: './src/index.ts' }, { node: compiled, default: { types: './dist/index.d.ts', default: './dist/index.js' } })).toEqual([])
  })

  it('a computed name cannot be checked', () => {
    expect(raw('export const load = (name: string) => import(name)\n')).toEqual([expect.stringContaining('imports a computed name')])
  })
})
