import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const root = path.resolve(import.meta.dirname, '../../..')

/** One planted file: where it lies, what it says, and the rules that must object to it (none: it is in order). */
const PLANTED: readonly { readonly file: string; readonly source: string; readonly rules: readonly string[] }[] = [
  { file: 'packages/block-core/src/long.ts', source: 'export const a = 1\n'.concat('// line\n'.repeat(500)), rules: ['max-lines'] },
  { file: 'packages/block-core/src/default.ts', source: 'export default 1\n', rules: ['no-default-export'] },
  { file: 'packages/block-core/src/console.ts', source: "console.log('hello')\n", rules: ['no-console'] },
  { file: 'packages/block-core/src/buffer.ts', source: 'export const b = Buffer.alloc(1)\n', rules: ['no-restricted-globals'] },
  { file: 'packages/block-core/src/global.ts', source: 'export const b = globalThis.Buffer.alloc(1)\n', rules: ['no-restricted-properties'] },
  { file: 'packages/block-core/src/node-import.ts', source: "export { readFileSync } from 'node:fs'\n", rules: ['no-restricted-imports'] },
  { file: 'packages/block-core/src/bare-import.ts', source: "import { readFileSync } from 'fs'\nexport const r = readFileSync\n", rules: ['no-restricted-imports'] },
  { file: 'packages/block-core/src/timer.ts', source: 'export const t = () => setTimeout(() => 1, 5)\n', rules: ['no-restricted-globals'] },
  { file: 'packages/formats/raw/src/clock.ts', source: 'export const t = () => Date.now() + performance.now()\n', rules: ['no-restricted-globals', 'no-restricted-globals'] },
  { file: 'packages/protocols/file/src/clock.ts', source: 'export const t = () => Date.now()\n', rules: ['no-restricted-globals'] },
  { file: 'packages/driver-kit/src/clock.node.ts', source: 'export const t = () => setInterval(() => 1, 5)\n', rules: ['no-restricted-globals'] },
  { file: 'packages/block-core/src/floating.ts', source: 'const f = async (): Promise<void> => {}\nexport const g = (): void => {\n  f()\n}\n', rules: ['no-floating-promises'] },
  { file: 'packages/block-core/test/floating.test.ts', source: 'const f = async (): Promise<void> => {}\nexport const g = (): void => {\n  f()\n}\n', rules: ['no-floating-promises'] },
  { file: 'packages/block-core/src/misused.ts', source: 'export const f = (g: () => Promise<boolean>): number => {\n  if (g()) return 1\n  return 2\n}\n', rules: ['no-misused-promises'] },
  { file: 'packages/block-core/src/atomic.ts', source: 'let total = 0\nexport const f = async (g: () => Promise<number>): Promise<void> => {\n  const before = total\n  await g()\n  total = before + 1\n}\n', rules: ['require-atomic-updates'] },
  { file: 'packages/block-core/src/update.ts', source: 'export class A {\n  #n = 0\n  async f(g: () => Promise<number>): Promise<void> {\n    this.#n += await g()\n  }\n  async h(g: () => Promise<number>): Promise<void> {\n    this.#n = this.#n + (await g())\n  }\n  async ok(g: () => Promise<number>): Promise<void> {\n    const n = await g()\n    this.#n += n\n  }\n}\n', rules: ['no-await-in-update', 'no-await-in-update'] },
  { file: 'packages/block-core/src/any.ts', source: 'export const a = (b: unknown): number => (b as any).length\n', rules: ['no-explicit-any'] },
  { file: 'packages/block-core/src/ignore.ts', source: '// @ts-ignore: because\nexport const a: number = 1\n', rules: ['ban-ts-comment'] },
  { file: 'packages/block-core/src/todo.ts', source: '// TODO: finish\nexport const a = 1\n', rules: ['no-warning-comments'] },
  { file: 'packages/block-core/src/unused-disable.ts', source: '// oxlint-disable-next-line no-console\nexport const a = 1\n', rules: ['Unused'] },
  { file: 'packages/block-core/src/eslint-disable.ts', source: '// eslint-disable-next-line no-console\nconsole.log(1)\n', rules: ['no-console'] },
  { file: 'packages/block-core/test/only.test.ts', source: "import { it } from 'vitest'\nit.only('a', () => {})\nit.skip('b', () => {})\n", rules: ['no-focused-tests', 'no-disabled-tests'] },
  { file: 'packages/protocols/file/src/host.ts', source: "import { Buffer as B } from 'node:buffer'\nexport const b = [B, Buffer, setImmediate]\n", rules: [] },
  { file: 'packages/coroutine-scheduler/src/context/host-clock.ts', source: 'export const t = () => setTimeout(() => 1, performance.now())\n', rules: [] },
  { file: 'packages/block-core/test/clock.test.ts', source: "import { readFileSync } from 'node:fs'\nexport const t = () => [setTimeout(() => 1, Date.now()), readFileSync, Buffer]\n", rules: [] },
  { file: 'tools/img/src/print.ts', source: 'console.log(Date.now(), Buffer)\n', rules: [] },
]

interface Diagnostic {
  readonly code?: string
  readonly message: string
  readonly filename: string
}

describe('lint', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'blockloom-lint-'))
  const found = new Map<string, string[]>()

  beforeAll(async () => {
    for (const file of ['.oxlintrc.json', 'tsconfig.base.json', 'tools/rig/tsconfig.package.json', 'tools/rig/lint']) {
      cpSync(path.join(root, file), path.join(folder, file), { recursive: true })
    }
    symlinkSync(path.join(root, 'node_modules'), path.join(folder, 'node_modules'))
    symlinkSync(path.join(root, 'tools/rig/node_modules'), path.join(folder, 'tools/rig/node_modules'))
    for (const { file, source } of PLANTED) {
      mkdirSync(path.join(folder, path.dirname(file)), { recursive: true })
      writeFileSync(path.join(folder, file), source)
    }
    writeFileSync(path.join(folder, 'packages/block-core/tsconfig.json'), '{ "extends": "../../tools/rig/tsconfig.package.json" }')
    for (const { code, message, filename } of await lint(folder)) {
      const rule = code === undefined ? (message.split(' ')[0] ?? '') : code.replace(/^.*\(|\)$/g, '')
      found.set(filename, [...(found.get(filename) ?? []), rule])
    }
  }, 180_000)
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it.each(PLANTED.filter(({ rules }) => rules.length > 0))('$file breaks $rules', ({ file, rules }) => {
    expect(found.get(file)?.toSorted()).toEqual(rules.toSorted())
  })

  it.each(PLANTED.filter(({ rules }) => rules.length === 0))('$file is in order', ({ file }) => {
    expect(found.get(file)).toBeUndefined()
  })
})

function lint(folder: string): Promise<readonly Diagnostic[]> {
  return new Promise((resolve, reject) => {
    execFile(path.join(root, 'node_modules/.bin/oxlint'), ['--format=json'], { cwd: folder, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      try {
        resolve((JSON.parse(stdout) as { diagnostics: readonly Diagnostic[] }).diagnostics)
      } catch {
        reject(new Error(`oxlint printed no diagnostics: ${error?.message ?? ''}\n${stdout}${stderr}`))
      }
    })
  })
}
