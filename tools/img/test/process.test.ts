import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { NODE } from './support/pinned-node.ts'

const TOOL = fileURLToPath(new URL('../src/main.ts', import.meta.url))

describe('as a process', () => {
  let folder: string
  beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'blockloom-img-'))))
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  test('messages begin with the name it was started under', () => {
    const link = join(folder, 'my-img')
    symlinkSync(TOOL, link)
    const { status, stdout, stderr } = spawnSync(NODE, [TOOL, 'info', join(folder, 'absent')], { encoding: 'utf8' })
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
    expect(stderr).toMatch(/^main\.ts: Could not open '.*absent': Could not open '.*absent': No such file or directory\n$/)
    const linked = spawnSync(NODE, [link, 'info', join(folder, 'absent')], { encoding: 'utf8' })
    expect(linked.stderr).toMatch(/^my-img: Could not open/)
  })

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s removes the target that convert made', async (signal, status) => {
    const source = join(folder, 'source.raw')
    const target = join(folder, 'target.raw')
    writeFileSync(source, new Uint8Array(64 << 20).fill(1))
    const child = spawn(NODE, [TOOL, 'convert', '-f', 'raw', '-O', 'raw', '-r', '1M', source, target], { stdio: ['ignore', 'ignore', 'pipe'] })
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
    while (!existsSync(target)) await new Promise((resolve) => setTimeout(resolve, 10))
    child.kill(signal)
    expect(await ended).toBe(status)
    expect(stderr).toBe(`main.ts: Interrupted by ${signal}\n`)
    expect(existsSync(target)).toBe(false)
    expect(existsSync(source)).toBe(true)
  })

  test('an interrupted convert leaves a target that was there before', async () => {
    const source = join(folder, 'source.raw')
    const target = join(folder, 'target.raw')
    writeFileSync(source, new Uint8Array(64 << 20).fill(1))
    writeFileSync(target, 'mine')
    const child = spawn(NODE, [TOOL, 'convert', '-p', '-f', 'raw', '-O', 'raw', '-r', '1M', source, target])
    await new Promise((resolve) => child.stdout.once('data', resolve))
    child.kill('SIGINT')
    expect(await new Promise((resolve) => child.once('close', resolve))).toBe(130)
    expect(existsSync(target)).toBe(true)
  })

  test('the bundled tool sets V8 up for commands that copy, and for no others', () => {
    const bundle = join(folder, 'bin')
    expect(spawnSync(NODE, ['build.mjs', bundle], { cwd: fileURLToPath(new URL('..', import.meta.url)), encoding: 'utf8' }).stderr).toBe('')
    const hook = join(folder, 'hook.cjs')
    writeFileSync(hook, "const v8 = require('node:v8'); const set = v8.setFlagsFromString; v8.setFlagsFromString = (flag) => { console.error(flag); set(flag) }")
    const env = { ...process.env, NODE_COMPILE_CACHE: join(folder, 'cache') }
    const settings = (command: string): string => spawnSync(NODE, ['--require', hook, join(bundle, 'blockloom-img.mjs'), command, '--help'], { encoding: 'utf8', env }).stderr
    expect(settings('convert')).toMatch(/^(--[\w=-]+\n){2}$/)
    expect(settings('info')).toBe('')
  })

  test('the bundled tool, where koffi is not installed, says that once and nothing else', () => {
    const bundle = join(folder, 'bin')
    const built = spawnSync(NODE, ['build.mjs', bundle], { cwd: fileURLToPath(new URL('..', import.meta.url)), encoding: 'utf8' })
    expect(built.stderr).toBe('')
    const source = join(folder, 'source.raw')
    writeFileSync(source, new Uint8Array(65536).fill(1))
    const args = [join(bundle, 'blockloom-img.mjs'), 'convert', '-f', 'raw', '-O', 'qcow2', source, join(folder, 'target.qcow2')]
    for (const start of ['first', 'second']) {
      const { status, stdout, stderr } = spawnSync(NODE, args, { encoding: 'utf8', env: { ...process.env, NODE_COMPILE_CACHE: join(folder, 'cache'), NODE_PATH: '' } })
      expect({ status, stdout }, start).toEqual({ status: 0, stdout: '' })
      expect(stderr, start).toMatch(/^[^\n]*koffi is not installed[^\n]*\n$/)
    }
    expect(spawnSync('qemu-img', ['compare', source, join(folder, 'target.qcow2')]).status).toBe(0)
  })

  test('a reader that goes away is no error', () => {
    const { status, stderr } = spawnSync('sh', ['-c', '"$0" "$1" --help | head -n 1 >&2', NODE, TOOL], { encoding: 'utf8' })
    expect(status).toBe(0)
    expect(stderr).toMatch(/^main\.ts version [^\n]+\n$/)
  })
})
