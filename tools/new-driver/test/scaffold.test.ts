import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { checkWorkspace, readWorkspace } from '@blockloom/boundaries'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { namesOf } from '../src/names.ts'
import { scaffold } from '../src/scaffold.ts'

const root = path.resolve(import.meta.dirname, '../../..')
const DRIVERS = [namesOf('format', 'two-words'), namesOf('protocol', 'null'), namesOf('filter', 'plain')]
const BASE = ['package.json', 'vitest.config.ts', 'tsconfig.base.json', 'tools/rig/package.json', 'tools/rig/vitest.mjs', 'tools/rig/tsconfig.package.json']
const TESTS = {
  extends: './tsconfig.base.json',
  compilerOptions: { noEmit: true, rewriteRelativeImportExtensions: false, types: ['node'] },
  include: ['packages/*/*/src', 'packages/*/*/test'],
}
const LIBRARIES = ['packages/block-driver', 'packages/driver-testkit']

/** A workspace with the contract, the testkit and new drivers in it; what is installed is linked. */
function plant(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'blockloom-new-driver-'))
  for (const file of BASE) cpSync(path.join(root, file), path.join(folder, file))
  for (const library of LIBRARIES) {
    cpSync(path.join(root, library), path.join(folder, library), { recursive: true, filter: (file) => !/\/(node_modules|dist|test|etc)$/.test(file) })
  }
  symlinkSync(path.join(root, 'node_modules'), path.join(folder, 'node_modules'))
  symlinkSync(path.join(root, 'tools/rig/node_modules'), path.join(folder, 'tools/rig/node_modules'))
  writeFileSync(path.join(folder, 'tsconfig.json'), JSON.stringify({ files: [], references: LIBRARIES.map((library) => ({ path: library })) }))
  writeFileSync(path.join(folder, 'tsconfig.tests.json'), JSON.stringify(TESTS))
  for (const names of DRIVERS) scaffold(folder, names)
  for (const place of [...LIBRARIES, ...DRIVERS.map((names) => names.folder)]) {
    const scope = path.join(folder, place, 'node_modules/@blockloom')
    mkdirSync(scope, { recursive: true })
    for (const target of [...LIBRARIES, 'tools/rig']) symlinkSync(path.join(folder, target), path.join(scope, path.basename(target)))
  }
  return folder
}

function run(command: string, args: readonly string[], cwd: string): Promise<string> {
  return new Promise((resolve) => {
    execFile(path.join(root, 'node_modules/.bin', command), args, { cwd, env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: '0' } }, (error, stdout, stderr) => resolve(`${error?.code ?? 0}\n${stdout}${stderr}`))
  })
}

describe('a new driver', () => {
  let folder = ''
  beforeAll(() => {
    folder = plant()
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it('keeps the boundaries; only its API report is still to be written', () => {
    const findings = checkWorkspace(readWorkspace(folder)).filter(({ where }) => DRIVERS.some((names) => where.startsWith(names.folder)))
    expect(findings.map(({ message }) => message).sort()).toEqual(DRIVERS.map(({ packageName }) => `has no etc/${packageName.replace('@blockloom/', '')}.api.md: run \`npm run api:update\``).sort())
  })

  it('is named after its driver everywhere', () => {
    for (const { folder: place, driver, camel } of DRIVERS) {
      const text = readFileSync(path.join(folder, place, 'src/driver.ts'), 'utf8')
      expect(text).toContain(`name: '${driver}'`)
      expect(text).toContain(`export const ${camel} = `)
      expect(text.toLowerCase()).not.toContain('acme')
    }
  })

  it('compiles, tests included', async () => {
    expect(await run('tsc', ['-p', 'tsconfig.tests.json'], folder)).toBe('0\n')
  })

  it('passes the tests it comes with', async () => {
    const output = await run('vitest', ['run', '--reporter=verbose'], folder)
    expect(output).toMatch(/^0\n/)
    for (const { packageName } of DRIVERS) expect(output).toMatch(new RegExp(`✓.*${packageName}.*conformance`))
  })

  it('does not overwrite one that is there', () => {
    expect(() => scaffold(folder, namesOf('filter', 'plain'))).toThrow('packages/filters/plain is there already')
  })

  it.each([['disk', 'x1'], ['format', 'X'], ['format', '../up'], ['format', '-a'], ['format', 'a--b']])('is not made for %s %s', (kind, name) => {
    expect(() => namesOf(kind, name)).toThrow(/no kind of driver|no name for a driver/)
  })
})
