import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { NODE } from './support/pinned-node.ts'

const SOURCE = fileURLToPath(new URL('../src/code-cache.ts', import.meta.url))

describe('the cache of compiled code', () => {
  let folder: string
  beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'blockloom-code-'))))
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  /** Runs a script through the cache in a process of its own. */
  function run(script: string, name: string, env: NodeJS.ProcessEnv = {}): string {
    const path = join(folder, 'script.cjs')
    writeFileSync(path, script)
    const program = `const { runWithCodeCache } = await import(${JSON.stringify(SOURCE)}); console.log(runWithCodeCache(${JSON.stringify(path)}, ${JSON.stringify(name)})())`
    const { stdout, stderr, status } = spawnSync(NODE, ['--input-type=module', '-e', program], {
      encoding: 'utf8',
      env: { ...process.env, NODE_COMPILE_CACHE: join(folder, 'cache'), ...env },
    })
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 })
    return stdout.trim()
  }

  /** The cache's files, with the folder of Node's version in front. */
  const files = (): string[] => readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.includes('.code'))
  const changed = (name: string): number => statSync(join(folder, name)).mtimeMs

  test('is written once, with what was called, and only its owner can read it', () => {
    expect(run('() => (function called() { return 42 })()', 'a')).toBe('42')
    const [file] = files()
    expect(files()).toEqual([expect.stringMatching(/a\.code$/)])
    expect(statSync(join(folder, file!)).mode & 0o777).toBe(0o600)
    const before = changed(file!)
    expect(run('() => (function called() { return 42 })()', 'a')).toBe('42')
    expect(changed(file!)).toBe(before)
  })

  test('that is damaged, or of a script of another length, is made again', () => {
    run('() => 1', 'a')
    const [file] = files()
    writeFileSync(join(folder, file!), 'no code')
    expect(run('() => 1', 'a')).toBe('1')
    expect(statSync(join(folder, file!)).size).toBeGreaterThan(100)
    expect(run('() => 1234', 'a')).toBe('1234')
    expect(run('() => 1234', 'a')).toBe('1234')
  })

  test('that others may write to is not used', () => {
    run('() => 1', 'a')
    const [file] = files()
    chmodSync(join(folder, file!), 0o666)
    // V8 itself compares nothing but the lengths.
    expect(run('() => 2', 'a')).toBe('2')
    expect(statSync(join(folder, file!)).mode & 0o777).toBe(0o600)
  })

  test('in a folder that others may write to, or that lies elsewhere, is not used', () => {
    run('() => 1', 'a')
    const place = join(folder, files()[0]!, '..')
    chmodSync(place, 0o777)
    expect(run('() => 2', 'a')).toBe('2')
    chmodSync(place, 0o700)
    run('() => 1', 'b')
    renameSync(place, `${place}-elsewhere`)
    symlinkSync(`${place}-elsewhere`, place)
    expect(run('() => 2', 'b')).toBe('2')
  })

  test('is not kept where Node keeps none, or under names that are no names', () => {
    run('() => 1', 'a', { NODE_DISABLE_COMPILE_CACHE: '1' })
    run('() => 1', '../../a')
    run('() => 1', 'a/b')
    expect(files()).toEqual([])
  })
})
