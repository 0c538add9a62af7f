import * as fs from 'node:fs'
import { constants } from 'node:os'
import { expect, onTestFinished, test } from 'vitest'
import { BufferedIo } from '../src/io/buffered.ts'
import type { Libc } from '../src/native/libc.ts'
import { clock, expectBytes, pattern, scratchFile } from './scratch.ts'

const CONTENT = pattern(65536)

/** A file that is read through a preadv2 that answers as told. */
function reader(answer: (offset: number, into: Uint8Array, call: number) => number) {
  const fd = fs.openSync(scratchFile(CONTENT), 'r')
  onTestFinished(() => fs.closeSync(fd))
  const calls: number[] = []
  const libc = {
    preadNowait: (_fd: number, into: Uint8Array, offset: number) => {
      calls.push(offset)
      const bytes = answer(offset, into, calls.length)
      if (bytes > 0) into.set(CONTENT.subarray(offset, offset + bytes))
      return bytes
    },
  } as unknown as Libc
  return { io: new BufferedIo(fd, libc, clock), calls }
}

async function check(io: BufferedIo): Promise<void> {
  const into = new Uint8Array(8192)
  await io.read(4096, into)
  expectBytes(into, CONTENT.subarray(4096, 12288))
}

test('what is cached is there at once', async () => {
  const { io, calls } = reader((_offset, into) => into.length)
  await check(io)
  expect(calls).toEqual([4096])
})

test('what is cached in part is completed', async () => {
  const { io } = reader((_offset, into) => Math.min(into.length, 1000))
  await check(io)
})

test('what comes into the cache within a few turns is read there', async () => {
  const { io, calls } = reader((_offset, into, call) => (call < 3 ? -constants.errno.EAGAIN : into.length))
  await check(io)
  expect(calls).toEqual([4096, 4096, 4096])
})

test('what never comes is read by a thread, and the wait becomes shorter', async () => {
  const { io, calls } = reader(() => -constants.errno.EAGAIN)
  for (let i = 0; i < 20; i++) await check(io)
  const before = calls.length
  await check(io)
  expect(calls.length - before).toBe(2)
})

test.each(['ENOTSUP', 'ENOSYS'] as const)('a file system or kernel without it (%s) is not asked again', async (name) => {
  const { io, calls } = reader(() => -constants.errno[name])
  await check(io)
  await check(io)
  expect(calls.length).toBe(1)
})

test('an error is reported as the host reports it', async () => {
  const fd = fs.openSync(scratchFile(CONTENT), 'w')
  onTestFinished(() => fs.closeSync(fd))
  await expect(new BufferedIo(fd, null, clock).read(0, new Uint8Array(10))).rejects.toMatchObject({ code: 'EBADF' })
})
