import { BlockError, DONE } from '@blockloom/block-driver'
import * as fs from 'node:fs'
import { describe, expect, onTestFinished, test } from 'vitest'
import { BufferedIo } from '../src/io/buffered.ts'
import { WriteGather } from '../src/io/write-gather.ts'
import { clock, expectBytes, pattern, scratchFile } from './scratch.ts'

const MIB = 1024 * 1024

/** What was made of the writes: `now 0+1` is a write of 1 MiB at 0 in the same turn. */
function gathering(failing: { batch?: boolean; single?: number } = {}) {
  const made: string[] = []
  const note = (how: string, offset: number, bytes: number): void => void made.push(`${how} ${offset / MIB}+${bytes / MIB}`)
  const gather = new WriteGather({
    now: (offset, from) => {
      note('now', offset, from.length)
      return DONE
    },
    batch: async (offset, buffers) => {
      note('batch', offset, buffers.reduce((sum, { length }) => sum + length, 0))
      if (failing.batch) throw new Error('batch failed')
    },
    single: async (offset, from) => {
      note('single', offset, from.length)
      if (offset === failing.single) throw new BlockError('io', 'no')
    },
  })
  const write = (offset: number, bytes = MIB): Promise<void> => {
    if (gather.continues(offset, bytes)) return gather.add(offset, new Uint8Array(bytes))
    note('at once', offset, bytes)
    return DONE
  }
  /** Writes 4 MiB in a row, which is a stream. */
  const stream = (): void => {
    for (let i = 0; i < 4; i++) void write(i * MIB)
    made.length = 0
  }
  return { gather, write, stream, made }
}

describe('long writes in a row', () => {
  test('are gathered once there are enough of them', async () => {
    const { write, made } = gathering()
    await Promise.all([0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((i) => write(i * MIB)))
    expect(made).toEqual(['at once 0+1', 'at once 1+1', 'at once 2+1', 'at once 3+1', 'batch 4+4', 'batch 8+2'])
  })

  test('are written alone if nobody goes on, and it takes a while until that is tried again', async () => {
    const { write, stream, made } = gathering()
    stream()
    for (let i = 4; i < 9; i++) await write(i * MIB)
    expect(made).toEqual(['now 4+1', 'at once 5+1', 'at once 6+1', 'at once 7+1', 'at once 8+1'])
  })

  test('go on behind metadata that is written elsewhere, and end with data elsewhere', async () => {
    const { write, stream, made } = gathering()
    stream()
    await Promise.all([write(4 * MIB), write(100 * MIB, 65536), write(5 * MIB, 65536), write(200 * MIB), write(201 * MIB)])
    expect(made).toEqual(['at once 100+0.0625', 'at once 200+1', 'at once 201+1', 'batch 4+1.0625'])
  })

  test('are gathered for as long as those in front of them are being written', async () => {
    const { write, stream, made } = gathering()
    stream()
    await Promise.all([4, 5, 6, 7, 8, 9, 10].map((i) => write(i * MIB)))
    expect(made).toEqual(['batch 4+4', 'batch 8+3'])
  })

  test('go on behind one that is made elsewhere, and stay where they belong', async () => {
    const { gather, write, stream, made } = gathering()
    stream()
    const before = [write(4 * MIB), write(5 * MIB, 65536)]
    expect(gather.continues(5 * MIB + 65536, 3 * MIB)).toBe(true)
    await Promise.all([...before, write(8 * MIB + 65536), write(9 * MIB + 65536)])
    expect(made).toEqual(['batch 4+1.0625', 'batch 8.0625+2'])
  })

  test('are no stream if they are short', async () => {
    const { write, made } = gathering()
    await Promise.all(Array.from({ length: 100 }, (_, i) => write(i * 65536, 65536)))
    expect(made.filter((how) => !how.startsWith('at once'))).toEqual([])
  })

  test('each end with an error of their own', async () => {
    const { write, stream, made } = gathering({ batch: true, single: 5 * MIB })
    stream()
    const results = await Promise.allSettled([write(4 * MIB), write(5 * MIB)])
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
    expect(made).toEqual(['batch 4+2', 'single 4+1', 'single 5+1'])
  })
})

test('a stream of writes ends up in the file, whatever their lengths', async () => {
  const path = scratchFile(new Uint8Array(0))
  const fd = fs.openSync(path, 'r+')
  onTestFinished(() => fs.closeSync(fd))
  const io = new BufferedIo(fd, null, clock)
  const content = pattern(24 * MIB + 12345)
  const lengths = [MIB, 700_000, 65536, MIB - 1, 3 * MIB, 300_001]
  let at = 0
  let turn = 0
  await Promise.all(
    Array.from({ length: 6 }, async () => {
      while (at < content.length) {
        const from = at
        at = Math.min(content.length, from + lengths[turn++ % lengths.length]!)
        await io.write(from, content.subarray(from, at))
      }
    }),
  )
  expectBytes(new Uint8Array(fs.readFileSync(path)), content)
})

test('errors of a stream are those of the host', async () => {
  const path = scratchFile(new Uint8Array(0))
  const fd = fs.openSync(path, 'r')
  onTestFinished(() => fs.closeSync(fd))
  const io = new BufferedIo(fd, null, clock)
  const from = new Uint8Array(MIB)
  const results = await Promise.allSettled(Array.from({ length: 12 }, (_, i) => io.write(i * MIB, from)))
  expect(results.map((result) => (result.status === 'rejected' ? (result.reason as NodeJS.ErrnoException).code : 'written'))).toEqual(new Array(12).fill('EBADF'))
})
