import * as fs from 'node:fs'
import { constants } from 'node:os'
import { describe, expect, onTestFinished, test } from 'vitest'
import { BufferedIo } from '../src/io/buffered.ts'
import { WriteBehind, isWritingBehind } from '../src/io/write-behind.ts'
import type { Aio } from '../src/native/aio.ts'
import { loadLibc } from '../src/native/libc.ts'
import { clock, expectBytes, pattern, scratchFile } from './scratch.ts'

const MIB = 1024 * 1024
const KIB = 1024
const { EAGAIN, EINPROGRESS } = constants.errno
const libc = await loadLibc()

/** However slow the disk is: the thread does not hang. */
async function patiently(block: Uint8Array): Promise<void> {
  do await libc!.aio!.wait(block)
  while (libc!.aio!.error(block) === EINPROGRESS)
}

describe.runIf(libc?.aio)('streams of long writes that a file grows by', () => {
  /** Writes on the host's thread, counted. Files have 4 MiB. */
  function behind(changes: Partial<Aio> = {}, flags = 'r+') {
    const real = libc!.aio!
    const path = scratchFile(pattern(4 * MIB))
    const fd = fs.openSync(path, flags)
    onTestFinished(() => fs.closeSync(fd))
    const made = { writes: 0, waits: 0, finished: [] as [number, number][] }
    const aio: Aio = {
      ...real,
      ...changes,
      write: (...args) => {
        made.writes++
        return (changes.write ?? real.write)(...args)
      },
      wait: async (block) => {
        made.waits++
        await (changes.wait ?? patiently)(block)
      },
    }
    const it = new WriteBehind(fd, aio, async (offset, from, done) => {
      made.finished.push([offset, done])
      fs.writeSync(fd, from, done, from.length - done, offset + done)
    })
    /** As if 4 MiB had been written. */
    const stream = (): void => expect(it.write(0, new Uint8Array(4 * MIB))).toBeNull()
    return { it, made, stream, fd, path }
  }

  const content = pattern(40 * MIB)
  const part = (from: number, to: number): Uint8Array => content.subarray(from * MIB, to * MIB)

  test('are in the file when they are over', async () => {
    const path = scratchFile(0)
    const fd = fs.openSync(path, 'r+')
    onTestFinished(() => fs.closeSync(fd))
    let given = 0
    const aio: Aio = { ...libc!.aio!, wait: patiently, write: (...args) => (given++, libc!.aio!.write(...args)) }
    const io = new BufferedIo(fd, { ...libc!, aio }, clock)
    const lengths = [MIB, 300 * KIB + 1, 700 * KIB, 512 * KIB]
    const want = pattern(24 * MIB + 777)
    let at = 0
    let turn = 0
    await Promise.all(
      Array.from({ length: 5 }, async () => {
        while (at < want.length) {
          const from = at
          const to = Math.min(want.length, from + lengths[turn++ % lengths.length]!)
          at = to
          await io.write(from, want.subarray(from, to))
          const back = new Uint8Array(to - from)
          fs.readSync(fd, back, 0, back.length, from)
          expectBytes(back, want.subarray(from, to))
        }
      }),
    )
    expect(given).toBeGreaterThan(20)
    expectBytes(fs.readFileSync(path), want)
  })

  test('may leave holes', async () => {
    const { it, made, stream, path } = behind()
    stream()
    await Promise.all([it.write(5 * MIB, part(5, 6)), it.write(8 * MIB, part(8, 9))])
    expect(made.writes).toBe(2)
    const want = new Uint8Array(9 * MIB)
    want.set(pattern(4 * MIB))
    want.set(part(5, 6), 5 * MIB)
    want.set(part(8, 9), 8 * MIB)
    expectBytes(fs.readFileSync(path), want)
  })

  test('are no others: what is inside the file is left alone', () => {
    const { it, made, stream, fd } = behind()
    stream()
    fs.ftruncateSync(fd, 64 * MIB)
    for (let i = 4; i < 8; i++) expect(it.write(i * MIB, part(i, i + 1))).toBeNull()
    expect(made.writes).toBe(0)
  })

  test('are made elsewhere as long as something else is done', async () => {
    const { it, made, stream } = behind()
    stream()
    for (let i = 4; i < 40; i++) {
      const writing = it.write(i * MIB, part(i, i + 1))
      expect(isWritingBehind(MIB)).toBe(true)
      await writing
    }
    expect(made.writes).toBe(36)
  })

  test('are left alone if nothing is done before they are over, for longer and longer', async () => {
    const { it, made, stream } = behind()
    stream()
    for (let i = 4; i < 40; i++) await it.write(i * MIB, part(i, i + 1))
    // Four, four more after 16 MiB, and no others within 32 MiB.
    expect(made.writes).toBe(8)
  })

  test('count as under way until much is read', async () => {
    const { it, stream } = behind()
    stream()
    await Promise.all([it.write(4 * MIB, part(4, 5)), it.write(5 * MIB, part(5, 6))])
    expect([isWritingBehind(MIB), isWritingBehind(31 * MIB), isWritingBehind(1)]).toEqual([true, true, false])
  })

  test('are made in another way if the host takes no more requests', () => {
    const { it, stream } = behind({ write: () => -EAGAIN })
    stream()
    expect(it.write(4 * MIB, part(4, 5))).toBeNull()
  })

  test('and if nobody can tell how long the file is: writing reports why', () => {
    const it = new WriteBehind(-1, libc!.aio!, async () => undefined)
    expect(it.write(0, new Uint8Array(4 * MIB))).toBeNull()
    expect(it.write(4 * MIB, part(4, 5))).toBeNull()
  })

  test('are completed if the host wrote a part only, and report what it reports', async () => {
    const short = behind({ result: (block) => Math.min(libc!.aio!.result(block), 1000) })
    short.stream()
    await short.it.write(4 * MIB, part(4, 5))
    expect(short.made.finished).toEqual([[4 * MIB, 1000]])
    expectBytes(fs.readFileSync(short.path).subarray(4 * MIB), part(4, 5))

    const failing = behind({}, 'r')
    failing.stream()
    await expect(failing.it.write(4 * MIB, part(4, 5))).rejects.toThrow('EBADF')
    expect(failing.made.finished).toEqual([[4 * MIB, 0]])
  })

  test('that take long are waited for without asking again and again', async () => {
    let isOver = false
    const { it, made, stream } = behind({
      error: (block) => (isOver ? libc!.aio!.error(block) : EINPROGRESS),
      wait: async (block) => {
        await libc!.aio!.wait(block)
        isOver = true
      },
    })
    stream()
    await it.write(4 * MIB, part(4, 5))
    expect([made.waits, made.finished]).toEqual([1, []])
  })

  test('do not hold up other files if the host hangs on one', async () => {
    const given: Uint8Array[] = []
    let isHanging = true
    const error: Aio['error'] = (block) => (isHanging && block === given[0] ? EINPROGRESS : libc!.aio!.error(block))
    const first = behind({
      error,
      // As if a second had passed; the real thread has done all it had by then.
      wait: async () => {
        for (const block of given) await libc!.aio!.wait(block)
      },
      write: (block, ...args) => {
        given.push(block)
        return libc!.aio!.write(block, ...args)
      },
    })
    const second = behind()
    first.stream()
    second.stream()
    const [hangs, ...others] = [4, 5, 6].map((i) => first.it.write(i * MIB, part(i, i + 1))!)
    // Those behind it are over, done or taken back and written elsewhere.
    await Promise.all(others)
    // The thread gets nothing more, from nobody.
    expect(second.it.write(4 * MIB, part(4, 5))).toBeNull()
    isHanging = false
    await hangs
    expectBytes(fs.readFileSync(first.path).subarray(4 * MIB), part(4, 7))
    // As if 4 MiB had been written: it goes on.
    expect(second.it.write(5 * MIB, part(5, 6))).not.toBeNull()
    await second.it.write(6 * MIB, part(6, 7))
  })

  test('that the thread has not begun are taken back', async () => {
    const { it, made, stream, path } = behind({ error: (block) => (made.waits === 0 ? EINPROGRESS : libc!.aio!.error(block)), wait: async () => undefined })
    stream()
    const asked = Array.from({ length: 12 }, (_, i) => it.write((4 + 3 * i) * MIB, part(4 + 3 * i, 7 + 3 * i)))
    await Promise.all(asked)
    expectBytes(fs.readFileSync(path).subarray(4 * MIB), part(4, 40))
  })
})

test.runIf(libc?.aio)('a request that is taken back ends without having been made', async () => {
  const { aio } = libc!
  const from = new Uint8Array(8 * MIB).fill(1)
  /** Which of 24 requests were made, if all but the first are taken back at once. */
  const made = async (): Promise<boolean[]> => {
    const fd = fs.openSync(scratchFile(0), 'r+')
    onTestFinished(() => fs.closeSync(fd))
    const blocks = Array.from({ length: 24 }, (_, i) => {
      const block = aio!.block()
      expect(aio!.write(block, fd, from, i * from.length)).toBe(0)
      return block
    })
    for (const block of blocks.slice(1).reverse()) aio!.cancel(block)
    const ends: boolean[] = []
    for (const block of blocks) {
      while (aio!.error(block) === EINPROGRESS) await aio!.wait(block)
      const isMade = aio!.error(block) !== constants.errno.ECANCELED
      expect(aio!.result(block)).toBe(isMade ? from.length : -1)
      ends.push(isMade)
    }
    expect(fs.fstatSync(fd).size).toBe(ends.filter((end) => end).length * from.length)
    return ends
  }
  let ends = await made()
  // This thread may have been away until all were made.
  for (let tries = 0; tries < 5 && ends.at(-1) === true; tries++) ends = await made()
  expect([ends[0], ends.at(-1)]).toEqual([true, false])
  // In the order they were given: some were made, the others were not.
  expect(ends.lastIndexOf(true)).toBeLessThan(ends.indexOf(false))
})
