import { readFileSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { optionsTable } from '@blockloom/driver-kit'
import { qcow2 } from '@blockloom/format-qcow2'
import { createInMemory } from './harness/create.ts'
import { openQcow2 } from './harness/open.ts'

const DOCUMENTS = ['../README.md', '../../../../docs/formats/qcow2.md'].map((path) => new URL(path, import.meta.url))

/** Members that every instance has, or that say how it works inside. */
const NOT_FACETS: readonly string[] = ['limits', 'size', 'read', 'close', 'zeroInit', 'reopen', 'aioContext']

async function facets(): Promise<string> {
  const members = async (readOnly: boolean): Promise<string[]> => {
    const image = await openQcow2({ file: await createInMemory({ size: 1 << 20 }), mode: { readOnly } })
    const names = Object.entries(image).flatMap(([name, member]) => {
      if (NOT_FACETS.includes(name) || member === undefined) return []
      if (typeof member !== 'object') return [name]
      const inner = Object.entries(member as object).filter(([, value]) => typeof value === 'function')
      return inner.map(([method]) => `${name}.${method}`)
    })
    await image.close()
    return names
  }
  const always = await members(true)
  const writable = (await members(false)).filter((name) => !always.includes(name))
  const list = (names: readonly string[]): string => names.toSorted().map((name) => `\`${name}\``).join(', ')
  return `Always: ${list(always)}.\n\nOpened for writing: ${list(writable)}.\n`
}

const GENERATORS: Readonly<Record<string, () => string | Promise<string>>> = {
  facets,
  options: () => optionsTable(qcow2.options),
  creation: () => optionsTable(qcow2.creation!.options),
  amend: () => optionsTable(qcow2.creation!.amend!),
  children: () => Object.entries(qcow2.children).map(([name, { doc, presence }]) => `- \`${name}\` (${presence}): ${doc}\n`).join(''),
}

/** The document with everything between its marks made anew. */
async function generate(text: string): Promise<string> {
  let out = ''
  let at = 0
  for (const mark of text.matchAll(/<!-- generated: (\w+) -->\n[^]*?<!-- \/generated -->/g)) {
    const make = GENERATORS[mark[1]!]
    if (make === undefined) throw new Error(`nobody makes '${mark[1]}'`)
    out += `${text.slice(at, mark.index)}<!-- generated: ${mark[1]} -->\n${await make()}<!-- /generated -->`
    at = mark.index + mark[0].length
  }
  return out + text.slice(at)
}

test.each(DOCUMENTS)('generated parts are what the driver says: %s', async (document) => {
  const text = readFileSync(document, 'utf8')
  const made = await generate(text)
  if (process.env['UPDATE_DOCS'] === '1') writeFileSync(document, made)
  else expect(made).toBe(text)
  expect(made).toContain('<!-- generated: options -->')
})
