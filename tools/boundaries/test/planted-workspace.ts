import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { checkWorkspace } from '../src/check-workspace.ts'
import { nameOf, readWorkspace } from '../src/workspace.ts'

/** Files by path; an object is written as JSON, `undefined` removes a file of the base. */
export type Files = Readonly<Record<string, string | object | undefined>>

const EXPORTS = { '.': './src/index.ts', './internal/*': null, './package.json': './package.json' }

/** A package.json that every check accepts, with changes. */
export function manifest(folder: string, changes: object = {}): object {
  return {
    name: nameOf(folder),
    version: '0.0.0',
    license: 'MIT',
    type: 'module',
    sideEffects: false,
    engines: { node: '>=22.15' },
    files: ['dist', 'src', 'README.md', 'CHANGELOG.md'],
    exports: EXPORTS,
    publishConfig: { access: 'public', exports: { ...EXPORTS, '.': { types: './dist/index.d.ts', default: './dist/index.js' } } },
    ...changes,
  }
}

const FOLDERS = ['packages/block-driver', 'packages/block-core', 'packages/hbitmap', 'packages/driver-kit', 'packages/formats/raw', 'packages/protocols/file']
const CONTRACT = { '@blockloom/block-driver': 'workspace:^' }
const references = (...folders: readonly string[]) => ({ references: folders.map((folder) => ({ path: folder })) })

function base(): Files {
  const files: Record<string, string | object> = { 'tsconfig.json': references(...FOLDERS), 'pnpm-lock.yaml': "lockfileVersion: '9.0'\n" }
  for (const folder of FOLDERS) {
    files[`${folder}/package.json`] = manifest(folder)
    files[`${folder}/tsconfig.json`] = {}
    files[`${folder}/src/index.ts`] = 'export {}\n'
    files[`${folder}/README.md`] = '# A package\n'
    files[`${folder}/CHANGELOG.md`] = '# Changes\n'
    files[`${folder}/etc/${nameOf(folder).replace('@blockloom/', '')}.api.md`] = 'report\n'
  }
  files['packages/block-core/package.json'] = manifest('packages/block-core', { dependencies: CONTRACT })
  files['packages/block-core/tsconfig.json'] = references('../block-driver')
  for (const folder of ['packages/formats/raw', 'packages/protocols/file']) {
    files[`${folder}/package.json`] = manifest(folder, { peerDependencies: CONTRACT })
    files[`${folder}/tsconfig.json`] = references('../../block-driver')
  }
  return files
}

/** Plants a small workspace that is in order, with these changes, and returns what the checks say. */
export function check(changes: Files = {}): readonly string[] {
  const root = mkdtempSync(path.join(tmpdir(), 'blockloom-boundaries-'))
  try {
    for (const [file, content] of Object.entries({ ...base(), ...changes })) {
      if (content === undefined) continue
      mkdirSync(path.dirname(path.join(root, file)), { recursive: true })
      writeFileSync(path.join(root, file), typeof content === 'string' ? content : JSON.stringify(content))
    }
    return checkWorkspace(readWorkspace(root)).map(({ where, message }) => `${where}: ${message}`)
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}
