import { expectTypeOf, test } from 'vitest'
import { defineDriver, defineFilter, limits, option, type NodeSpec } from '@blockloom/block-driver'

const file = defineDriver({
  name: 'file', kind: 'protocol', summary: 'host files',
  options: { filename: option.string('File name', { required: true }), locking: option.choice(['on', 'off', 'auto'], 'Locks', { default: 'auto' }) },
  open: async ({ options }) => {
    expectTypeOf(options).toEqualTypeOf<{ readonly filename: string; readonly locking: 'on' | 'off' | 'auto' }>()
    return { limits: limits(), size: () => 0, read: async () => {}, close: async () => {} }
  },
})
const raw = defineDriver({
  name: 'raw', kind: 'format', summary: 'raw',
  options: { offset: option.size('Start'), encrypt: option.object({ format: option.string('Format') }, 'Encryption') },
  children: { file: { doc: 'the file', presence: 'required' }, backing: { doc: 'below', presence: 'implicit' } },
  open: async ({ options }) => {
    expectTypeOf(options.offset).toEqualTypeOf<number | undefined>()
    expectTypeOf(options.encrypt).toEqualTypeOf<{ readonly format?: string } | undefined>()
    return { limits: limits(), size: () => 0, read: async () => {}, close: async () => {} }
  },
})
const checked = defineDriver({
  name: 'checked', kind: 'protocol', summary: 'has a shorthand',
  options: { check: option.object({ template: option.choice(['none', 'all'], 'Which'), table: option.boolean('Tables') }, 'Checks', { shorthand: 'template' }) },
  open: async ({ options }) => {
    expectTypeOf(options.check).toEqualTypeOf<{ readonly template?: 'none' | 'all'; readonly table?: boolean } | undefined>()
    return { limits: limits(), size: () => 0, read: async () => {}, close: async () => {} }
  },
})
const slow = defineFilter({ name: 'slow', summary: 'waits', options: {}, open: async () => ({ close: async () => {} }) })

type Spec = NodeSpec<readonly [typeof raw, typeof file, typeof slow, typeof checked]>

test('the spec of a node follows from the drivers', () => {
  const ok: Spec = { driver: 'slow', file: { driver: 'raw', offset: 512, file: { driver: 'file', filename: 'x' }, backing: null } }
  const named: Spec = { driver: 'raw', file: 'node0', 'node-name': 'top' }
  // @ts-expect-error an unregistered driver
  const unknownDriver: Spec = { driver: 'qcow2', file: 'node0' }
  // @ts-expect-error a misspelt option
  const misspelt: Spec = { driver: 'raw', offste: 512, file: 'node0' }
  // @ts-expect-error a misspelt option two levels down
  const deep: Spec = { driver: 'raw', file: { driver: 'file', filename: 'x', lockng: 'on' } }
  // @ts-expect-error a required option is missing
  const missing: Spec = { driver: 'raw', file: { driver: 'file' } }
  // @ts-expect-error a required child is missing
  const childless: Spec = { driver: 'raw' }
  // @ts-expect-error a value outside the choice
  const choice: Spec = { driver: 'file', filename: 'x', locking: 'maybe' }
  const short: Spec = { driver: 'checked', check: 'all' }
  const long: Spec = { driver: 'checked', check: { template: 'none', table: true } }
  // @ts-expect-error not a value of the member that the shorthand stands for
  const wrongShort: Spec = { driver: 'checked', check: 'some' }
  // @ts-expect-error an object without a shorthand takes no plain value
  const noShorthand: Spec = { driver: 'raw', file: 'node0', encrypt: 'luks' }
  expectTypeOf([short, long, wrongShort, noShorthand]).toBeArray()
  expectTypeOf([ok, named, unknownDriver, misspelt, deep, missing, childless, choice]).toBeArray()
})
