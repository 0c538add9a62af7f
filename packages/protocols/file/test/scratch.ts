import type { Instance, OpenContext, OptionsOf } from '@blockloom/block-driver'
import { isBlockError, parseOptions } from '@blockloom/block-driver'
import { fileDriver } from '@blockloom/protocol-file'
import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, onTestFinished } from 'vitest'

export type Driver = ReturnType<typeof fileDriver>
export type Image = Instance<OptionsOf<Driver['options']>>

export const clock = { now: () => performance.now(), sleep: async () => undefined }
export const nativeDriver = fileDriver()
export const plainDriver = fileDriver({ native: false })
export const onLinux = process.platform === 'linux'

/** A new empty folder, removed after the test. */
export function scratch(): string {
  const folder = fs.mkdtempSync(join(tmpdir(), 'blockloom-file-'))
  onTestFinished(() => fs.rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** A new file with this content, or a hole of this size. */
export function scratchFile(content: Uint8Array | number, name = 'disk'): string {
  const path = join(scratch(), name)
  fs.writeFileSync(path, typeof content === 'number' ? '' : content)
  if (typeof content === 'number') fs.truncateSync(path, content)
  return path
}

const opened = new Set<Image>()
afterEach(async () => {
  for (const image of opened) await image.close()
  opened.clear()
})

export async function open(driver: Driver, filename: string, values: Record<string, unknown> = {}, readOnly = false, warnings: string[] = []): Promise<Image> {
  const context = {
    options: parseOptions(driver.options, { filename, ...values }),
    mode: { readOnly, noIo: false, noBacking: false, forCheck: false },
    nodeName: 'file0',
    clock,
    signal: undefined,
    warn: (message: string) => void warnings.push(message),
  } as unknown as OpenContext<never>
  const image = (await driver.open(context)) as Image
  opened.add(image)
  return image
}

export async function close(image: Image): Promise<void> {
  opened.delete(image)
  await image.close()
}

export async function create(driver: Driver, filename: string, values: Record<string, unknown> = {}): Promise<void> {
  const options = parseOptions(driver.creation!.options, { filename, ...values })
  await driver.creation!.create({ options, clock, signal: undefined, file: null, warn: () => undefined } as never)
}

export async function read(image: Image, offset: number, bytes: number): Promise<Uint8Array> {
  const into = new Uint8Array(bytes).fill(0xee)
  await image.read(offset, into, 0)
  return into
}

/** Bytes that tell where they are. */
export function pattern(bytes: number, seed = 1): Uint8Array {
  const out = new Uint8Array(bytes)
  for (let i = 0; i < bytes; i++) out[i] = (i * 31 + (i >>> 8) * 17 + seed) & 0xff
  return out
}

/** `toEqual` on megabytes is slow. */
export function expectBytes(got: Uint8Array, want: Uint8Array, hint = ''): void {
  expect(got.length, hint).toBe(want.length)
  expect(Buffer.compare(got, want), hint).toBe(0)
}

export const refusal = (code: Parameters<typeof isBlockError>[1]) => expect.toSatisfy((error) => isBlockError(error, code))

export const hasQemu = spawnSync('qemu-io', ['--version']).status === 0
