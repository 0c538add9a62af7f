import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
const examples = [...readme.matchAll(/```ts\n(.*?)```/gs)].map((match) => match[1]!)

it('has examples', () => {
  expect(examples.length).toBeGreaterThanOrEqual(2)
})

it.each(examples.map((code, i) => [i + 1, code] as const))('example %i prints what it says', (_, code) => {
  const folder = mkdtempSync(join(tmpdir(), 'readme-'))
  try {
    const file = join(folder, 'example.ts')
    const index = new URL('../src/index.ts', import.meta.url).href
    writeFileSync(file, code.replace("'@blockloom/coroutine-scheduler'", JSON.stringify(index)))
    const promised = [...code.matchAll(/^\/\/ prints: (.*)$/gm)].map((match) => `${match[1]!}\n`).join('')
    expect(promised).not.toBe('')
    const output = execFileSync(process.execPath, [file], { encoding: 'utf8', timeout: 20_000 })
    expect(output).toBe(promised)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
