import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { COMMANDS } from '../src/commands.ts'
import { NODE } from './support/pinned-node.ts'

const SOURCE = fileURLToPath(new URL('../src/v8-settings.ts', import.meta.url))

/** Sets V8 up, and calls a function a thousand times; true if V8 compiled it once more for that. */
function isCompiledAgain(...setUp: string[]): boolean {
  const program = `
    const { setUpV8 } = await import(${JSON.stringify(SOURCE)})
    setUpV8(${setUp.map((text) => JSON.stringify(text)).join()})
    function copyPiece(sum, i) { return sum + (i % 7) }
    console.log([...Array(1000).keys()].reduce(copyPiece, 0))`
  const { stdout, stderr, status } = spawnSync(NODE, ['--trace-opt', '--input-type=module', '-e', program], { encoding: 'utf8' })
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 })
  expect(stdout).toContain('2997\n')
  return /marking .*copyPiece.* MAGLEV/.test(stdout)
}

test('commands that copy have V8 compile what they call a thousand times once, not twice', () => {
  for (const command of ['convert', 'compare', 'commit', 'rebase']) {
    expect(COMMANDS).toHaveProperty(command)
    expect(isCompiledAgain(command)).toBe(false)
  }
  expect(isCompiledAgain('info')).toBe(true)
})

test('a V8 that may not know the settings is left alone', () => {
  expect(isCompiledAgain('convert', '99.1.2-node.3')).toBe(true)
})
