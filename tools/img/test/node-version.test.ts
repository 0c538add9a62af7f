import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { complainOfNode } from '../src/node-version.ts'
import { NODE } from './support/pinned-node.ts'

const PACKAGE = fileURLToPath(new URL('..', import.meta.url))

describe('the version of Node', () => {
  test('is the one that the package asks for, or newer', () => {
    const { engines } = JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8')) as { engines: { node: string } }
    const least = engines.node.replace('>=', '')
    expect(complainOfNode(`${least}.0`)).toBeUndefined()
    expect(complainOfNode('22.20.1')).toBeUndefined()
    expect(complainOfNode('24.0.0')).toBeUndefined()
    expect(complainOfNode('22.14.9')).toBe(`Node ${least} or newer is needed, this is 22.14.9`)
    expect(complainOfNode('20.20.2')).toBe(`Node ${least} or newer is needed, this is 20.20.2`)
  })

  describe('if it is older', () => {
    let folder: string
    beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'blockloom-img-'))))
    afterEach(() => rmSync(folder, { recursive: true, force: true }))

    test('the bundled tool says so in one line, before anything that such a version does not have', () => {
      const bundle = join(folder, 'bin')
      expect(spawnSync(NODE, ['build.mjs', bundle], { cwd: PACKAGE, encoding: 'utf8' }).stderr).toBe('')
      const older = join(folder, 'older.cjs')
      writeFileSync(older, "Object.defineProperty(process.versions, 'node', { value: '20.1.0' }); delete process.getBuiltinModule")
      const { status, stdout, stderr } = spawnSync(NODE, ['--require', older, join(bundle, 'blockloom-img.mjs'), '--version'], { encoding: 'utf8' })
      expect({ status, stdout, stderr }).toEqual({ status: 1, stdout: '', stderr: 'blockloom-img.mjs: Node 22.15 or newer is needed, this is 20.1.0\n' })
    })
  })
})
