import { hostHasLibc } from '../src/native/libc.ts'
import { fileDriver } from '@blockloom/protocol-file'
import { expect, test, vi } from 'vitest'
import { expectBytes, open, pattern, read, scratchFile } from './scratch.ts'

vi.mock('../src/native/require-koffi.ts', () => ({
  requireKoffi: () => {
    throw new Error("Cannot find module 'koffi'")
  },
}))

test.runIf(hostHasLibc())('a missing koffi is said once, and files work without', async () => {
  const driver = fileDriver()
  const warnings: string[] = []
  const first = await open(driver, scratchFile(pattern(5000)), {}, false, warnings)
  await open(driver, scratchFile(0), {}, false, warnings)
  expect(warnings).toEqual([expect.stringContaining('koffi is not installed')])
  expectBytes(await read(first, 100, 4096), pattern(5000).subarray(100, 4196))
  expect(first.extents).toBeUndefined()
})
