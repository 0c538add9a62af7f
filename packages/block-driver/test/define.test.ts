import { defineDriver, defineFilter, limits, option, permissionNames, Permission, type OpenContext } from '@blockloom/block-driver'
import { expect, test } from 'vitest'

test('a driver is one frozen table', () => {
  const driver = defineDriver({ name: 'x', kind: 'protocol', summary: 's', options: { a: option.string('A') }, open: async () => ({ limits: limits(), size: () => 0, read: async () => {}, close: async () => {} }) })
  expect(Object.isFrozen(driver)).toBe(true)
  expect([driver.contract, driver.children]).toEqual([1, {}])
  expect(Object.isFrozen(driver.options.a)).toBe(true)
})

test('a filter gets its filtered child first, and may have more', async () => {
  const asked: unknown[] = []
  const filter = defineFilter({ name: 'f', summary: 's', options: {}, children: { log: { doc: 'Log', presence: 'required' } }, open: async (_context, next) => ({ close: async () => void asked.push(next.name) }) })
  expect(Object.keys(filter.children)).toEqual(['file', 'log'])
  const context = { child: async (name: string, request: { role: number }) => { asked.push([name, request.role]); return { name } } } as unknown as OpenContext<never>
  await (await filter.open(context)).close()
  expect(asked).toEqual([['file', 0x14], 'file'])
})

test('limits default to none, permissions have the names users know', () => {
  expect(limits({ requestAlignment: 512 })).toMatchObject({ requestAlignment: 512, maxTransfer: Infinity, clusterSize: 0 })
  expect(permissionNames(Permission.WRITE | Permission.RESIZE)).toEqual(['write', 'resize'])
})
