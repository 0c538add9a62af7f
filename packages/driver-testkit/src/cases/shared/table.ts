import { parseOptions, type OptionField, type OptionsSchema } from '@blockloom/block-driver'
import type { Bench } from '../../bench/bench.ts'
import type { Draft } from '../../draft.ts'
import { check } from '../../failure.ts'

/** @internal */
export const tableCases: readonly Draft<Bench>[] = [
  {
    name: 'table: frozen, of contract 1, with a name, a kind and a summary',
    run: async ({ fixture: { driver } }) => {
      check(Object.isFrozen(driver), 'the table is not frozen: use defineDriver or defineFilter')
      check(driver.contract === 1, `the contract is ${String(driver.contract)}, expected 1`)
      check(/^[a-z][a-z0-9]*([-_+.][a-z0-9]+)*$/i.test(driver.name), `the name '${driver.name}' is no name: letters, digits and single dashes`)
      check(['format', 'protocol', 'filter'].includes(driver.kind), `the kind is '${driver.kind}'`)
      checkPhrase(driver.summary, 'the summary')
      check(typeof driver.open === 'function', 'open is not a function')
      for (const member of ['probe', 'probeDevice', 'parseFilename'] as const) {
        check(driver[member] === undefined || typeof driver[member] === 'function', `${member} is not a function`)
      }
      if (driver.creation) check(typeof driver.creation.create === 'function', 'creation.create is not a function')
    },
  },
  {
    name: 'table: every option and child has documentation, every default is valid',
    run: async ({ fixture: { driver } }) => {
      checkSchema(driver.options, '')
      if (driver.creation) checkSchema(driver.creation.options, 'creation option ')
      for (const [name, child] of Object.entries(driver.children)) {
        check(/^[a-z][a-z0-9-]*$/.test(name), `the child '${name}' is no name`)
        checkPhrase(child.doc, `the doc of the child '${name}'`)
        check(child.presence === 'required' || child.presence === 'implicit', `the presence of the child '${name}' is '${String(child.presence)}'`)
        check(!Object.hasOwn(driver.options, name), `'${name}' is a child and an option`)
      }
    },
  },
]

function checkPhrase(text: string, what: string): void {
  check(typeof text === 'string' && text.trim().length > 0, `${what} is empty`)
  check(text === text.trim() && !text.endsWith('.'), `${what} is one phrase, without a full stop: '${text}'`)
}

function checkSchema(schema: OptionsSchema, prefix: string): void {
  for (const [name, field] of Object.entries(schema)) {
    const what = `${prefix}'${name}'`
    check(/^[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)*$/.test(name), `${what} is no name for an option`)
    checkPhrase(field.doc, `the doc of ${what}`)
    checkField(name, field, what)
    if (field.fields) checkSchema(field.fields, `${prefix}${name}.`)
  }
}

function checkField(name: string, field: OptionField, what: string): void {
  check(field.type !== 'choice' || (field.choices?.length ?? 0) > 0, `${what} is a choice without choices`)
  check(field.type !== 'object' || field.fields !== undefined, `${what} is an object without fields`)
  check(field.presence !== 'required' || field.default === undefined, `${what} is required and has a default`)
  check(!field.secret || field.default === undefined, `${what} is a secret and has a default`)
  if (field.default === undefined) return
  const parsed = parseOptions({ [name]: field }, { [name]: field.default })
  check(parsed[name] === field.default, `the default of ${what} is not a value of its type`)
}
