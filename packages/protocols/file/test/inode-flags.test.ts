import type { CreateContext } from '@blockloom/block-driver'
import { parseOptions } from '@blockloom/block-driver'
import * as fs from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createFile } from '../src/create.ts'
import { loadLibc, type Libc } from '../src/native/libc.ts'
import { fileCreateOptions } from '../src/options.ts'
import { clock, onLinux, scratch } from './scratch.ts'

const GETFLAGS = 0x8008_6601
const SETFLAGS = 0x4008_6602
const FSGETXATTR = 0x801c_581f
const FSSETXATTR = 0x401c_5820
const { EOPNOTSUPP, ENOTTY } = constants.errno
const libc = onLinux ? await loadLibc() : null

interface Called {
  readonly request: number
  /** The buffer after the call, in 32-bit words. */
  readonly words: number[]
  /** Length of the file when it was called. */
  readonly size: number
}

/** A file system that answers ioctl(2) as it is told, and remembers what it was asked. */
function pretending(answer: (request: number, argument: DataView) => number): { readonly libc: Libc; readonly calls: Called[] } {
  const calls: Called[] = []
  const ioctl = (fd: number, request: number, argument: Uint8Array): number => {
    const view = new DataView(argument.buffer, argument.byteOffset, argument.byteLength)
    const result = answer(request, view)
    const words = Array.from({ length: Math.floor(argument.length / 4) }, (_, i) => view.getUint32(4 * i, true))
    calls.push({ request, words, size: fs.fstatSync(fd).size })
    return result
  }
  return { libc: { ...libc!, ioctl }, calls }
}

async function make(values: Record<string, unknown>, with_: Libc | null): Promise<{ readonly path: string; readonly warnings: string[] }> {
  const path = join(scratch(), 'disk')
  fs.writeFileSync(path, 'what was there')
  const warnings: string[] = []
  const options = parseOptions(fileCreateOptions, { filename: path, size: 8192, ...values })
  await createFile({ options, clock, signal: undefined, file: null, warn: (message: string) => void warnings.push(message) } as unknown as CreateContext<never>, with_)
  return { path, warnings }
}

describe.runIf(libc !== null)('flags of a new file', () => {
  const btrfs = (request: number, argument: DataView): number => {
    if (request === GETFLAGS) argument.setUint32(0, 0x8_0010, true)
    if (request === FSGETXATTR) argument.setUint32(0, 0x3, true)
    return 0
  }

  test('nocow adds its flag to those that are there, before the file has a byte', async () => {
    const host = pretending(btrfs)
    const { path, warnings } = await make({ nocow: 'on', preallocation: 'full' }, host.libc)
    expect(host.calls.slice(0, 2)).toEqual([
      { request: GETFLAGS, words: [0x8_0010, 0], size: 0 },
      { request: SETFLAGS, words: [0x88_0010, 0], size: 0 },
    ])
    expect(warnings).toEqual([])
    expect(fs.statSync(path).size).toBe(8192)
  })

  test.each([[{}], [{ nocow: 'off' }]])('%j leaves copy-on-write as it is', async (values) => {
    const host = pretending(btrfs)
    await make(values, host.libc)
    expect(host.calls.map(({ request }) => request)).toEqual([FSGETXATTR, FSSETXATTR])
  })

  test.each([EOPNOTSUPP, ENOTTY])('a file system that has no such flag is left alone, without a word (errno %i)', async (errno) => {
    for (const failing of [GETFLAGS, SETFLAGS]) {
      const host = pretending((request) => (request === failing ? -errno : 0))
      const { path, warnings } = await make({ nocow: true }, host.libc)
      expect(warnings).toEqual([])
      expect(fs.statSync(path).size).toBe(8192)
    }
  })

  test.each([
    [{}, 1 << 20],
    [{ extent_size_hint: '2M' }, 2 << 20],
    [{ extent_size_hint: 0 }, 0],
  ])('%j sets the extent size hint', async (values, bytes) => {
    const host = pretending(btrfs)
    await make(values, host.libc)
    expect(host.calls.at(-1)).toMatchObject({ request: FSSETXATTR, words: [0x803, bytes, 0, 0, 0, 0, 0], size: 0 })
  })

  test('a hint that was asked for and not taken is a warning in the words of the reference', async () => {
    const without = (failing: number) => pretending((request) => (request === failing ? -EOPNOTSUPP : 0)).libc
    expect((await make({ extent_size_hint: '1M' }, without(FSSETXATTR))).warnings).toEqual(['Failed to set extent size hint: Operation not supported'])
    expect((await make({ extent_size_hint: '1M' }, without(FSGETXATTR))).warnings).toEqual(['Failed to get extent size hint: Operation not supported'])
    for (const failing of [FSGETXATTR, FSSETXATTR]) {
      expect((await make({}, without(failing))).warnings).toEqual([])
      expect((await make({ extent_size_hint: 0 }, without(failing))).warnings).toEqual([])
    }
    expect((await make({ extent_size_hint: 1 }, pretending(() => -ENOTTY).libc)).warnings).toEqual(['Failed to get extent size hint: Inappropriate ioctl for device'])
  })

  test('a hint that does not fit is refused before the file is touched', async () => {
    await expect(make({ extent_size_hint: '4G' }, libc)).rejects.toMatchObject({ code: 'invalid', message: 'Extent size hint is too large', detail: { option: 'extent_size_hint' } })
    await make({ extent_size_hint: 0xffff_ffff }, pretending(btrfs).libc)
  })

  test('what is called is ioctl(2)', () => {
    const path = join(scratch(), 'flags')
    const fd = fs.openSync(path, 'w+')
    try {
      const flags = new Uint8Array(8)
      const view = new DataView(flags.buffer)
      const got = libc!.ioctl(fd, GETFLAGS, flags)
      if (got < 0) {
        // This file system has no flags at all.
        expect([-ENOTTY, -EOPNOTSUPP, -constants.errno.ENOSYS]).toContain(got)
        return
      }
      // FS_NODUMP_FL, which every file system that has flags knows.
      view.setUint32(0, view.getUint32(0, true) + 0x40, true)
      const wanted = view.getUint32(0, true)
      expect(libc!.ioctl(fd, SETFLAGS, flags)).toBe(0)
      flags.fill(0)
      expect(libc!.ioctl(fd, GETFLAGS, flags)).toBe(0)
      expect(view.getUint32(0, true)).toBe(wanted)
      expect(libc!.ioctl(fd, 0, flags)).toBe(-ENOTTY)
    } finally {
      fs.closeSync(fd)
    }
  })
})

test('without system calls what was asked for is a warning', async () => {
  expect((await make({}, null)).warnings).toEqual([])
  expect((await make({ nocow: true, extent_size_hint: '2M' }, null)).warnings).toEqual([
    'Could not turn off copy-on-write: this needs 64-bit Linux and the package koffi',
    'Failed to set extent size hint: this needs 64-bit Linux and the package koffi',
  ])
})
