import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { expect, onTestFinished, test } from 'vitest'
import { open, plainDriver, refusal, scratchFile } from './scratch.ts'

/** Makes fdatasync of the whole process fail while it says so. */
function failingSync() {
  const real = fs.fdatasync
  const state = { fails: true, calls: 0 }
  fs.fdatasync = ((fd: number, done: (error: Error | null) => void) => {
    state.calls++
    if (state.fails) setImmediate(done, Object.assign(new Error('EIO'), { code: 'EIO' }))
    else real(fd, done)
  }) as typeof fs.fdatasync
  syncBuiltinESMExports()
  onTestFinished(() => {
    fs.fdatasync = real
    syncBuiltinESMExports()
  })
  return state
}

test('after a failed flush no flush succeeds: the host may have dropped what it could not write', async () => {
  const image = await open(plainDriver, scratchFile(1000))
  const host = failingSync()
  await expect(image.writer!.flush('stable')).rejects.toEqual(refusal('io'))
  host.fails = false
  await expect(image.writer!.flush('stable')).rejects.toThrow('Could not flush')
  await image.writer!.flush('host')
})

test('no-flush flushes nothing, and can be switched', async () => {
  const path = scratchFile(1000)
  const image = await open(plainDriver, path, { 'cache.no-flush': true })
  const host = failingSync()
  await image.writer!.flush('stable')
  expect(host.calls).toBe(0)
  host.fails = false
  await (await image.reopen!({ filename: path, locking: 'auto', aio: 'threads' })).commit()
  await image.writer!.flush('stable')
  expect(host.calls).toBe(1)
})
