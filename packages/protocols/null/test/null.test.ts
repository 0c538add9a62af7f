import type { Clock, OpenContext } from '@blockloom/block-driver'
import { isBlockError, parseOptions } from '@blockloom/block-driver'
import { nullAio, nullCo } from '@blockloom/protocol-null'
import { describe, expect, test } from 'vitest'

const clockOf = (slept: number[]): Clock => ({ now: () => 0, sleep: async (ms) => void slept.push(ms) })

async function open(driver: typeof nullCo | typeof nullAio, values: Record<string, unknown> = {}, clock: Clock = clockOf([]), readOnly = false) {
  const options = parseOptions(driver.options, values)
  const context = { options, mode: { readOnly }, clock } as unknown as OpenContext<never>
  const image = await driver.open(context)
  return { ...image, size: image.size!, read: image.read! }
}

describe.each([['null-co', nullCo], ['null-aio', nullAio]] as const)('%s', (name, driver) => {
  test('is 1 GiB of zeroes that stay so', async () => {
    const image = await open(driver)
    expect(image.size()).toBe(1024 ** 3)
    await image.writer!.write(0, new Uint8Array(512).fill(1), 0)
    const into = new Uint8Array(512).fill(0xee)
    await image.read(0, into, 0)
    expect(into).toEqual(new Uint8Array(512))
    expect(await image.allocatedSize!()).toBe(0)
    expect(await image.zero!(0, 512, 0)).toBe('done')
    expect(await image.discard!(0, 512)).toBe('done')
  })

  test('says that it is zeroes only if told to', async () => {
    expect(await (await open(driver)).extents!(512, 1024)).toEqual({ kind: 'data', bytes: 1024 })
    const image = await open(driver, { 'read-zeroes': true, size: '1M' })
    expect(await image.extents!(512, 1024)).toEqual({ kind: 'zero', bytes: 1024, host: { child: null, offset: 512 } })
  })

  test('has one filename, that of its defaults', async () => {
    expect(driver.parseFilename!(`${name}://`)).toEqual({})
    expect(() => driver.parseFilename!(`${name}://x`)).toThrow(`The only allowed filename for this driver is '${name}://'`)
    expect((await open(driver)).filename).toBe(`${name}://`)
    expect((await open(driver, { size: 512 })).filename).toBeUndefined()
  })

  test('takes its time by the clock of the node, also after it moved or was reopened', async () => {
    const before: number[] = []
    const after: number[] = []
    const image = await open(driver, { 'latency-ns': 1_500_000 }, clockOf(before))
    await image.read(0, new Uint8Array(1), 0)
    await image.writer!.write(0, new Uint8Array(1), 0)
    await image.writer!.flush('stable')
    expect(before).toEqual([1.5, 1.5, 1.5])
    image.aioContext!.detach()
    image.aioContext!.attach(clockOf(after))
    const next = await image.reopen!({ size: 1024 ** 3, 'latency-ns': 2_000_000, 'read-zeroes': false })
    await next.commit()
    await image.read(0, new Uint8Array(1), 0)
    expect([before.length, after]).toEqual([3, [2]])
  })

  test('refuses a negative latency and cannot be written when read-only', async () => {
    await expect(open(driver, { 'latency-ns': -1 })).rejects.toEqual(expect.toSatisfy((e) => isBlockError(e, 'invalid')))
    const image = await open(driver, {}, clockOf([]), true)
    expect([image.writer, image.zero, image.discard]).toEqual([undefined, undefined, undefined])
  })
})
