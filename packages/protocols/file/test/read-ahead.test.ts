import { once } from 'node:events'
import * as fs from 'node:fs'
import { constants } from 'node:os'
import { Worker } from 'node:worker_threads'
import { describe, expect, onTestFinished, test } from 'vitest'
import { BufferedIo } from '../src/io/buffered.ts'
import { LongRow } from '../src/io/long-row.ts'
import { isReadingAhead, ReadAhead } from '../src/io/read-ahead.ts'
import type { Aio } from '../src/native/aio.ts'
import { loadLibc, type Libc } from '../src/native/libc.ts'
import { clock, expectBytes, pattern, scratchFile } from './scratch.ts'

const MIB = 1024 * 1024
const KIB = 1024
const libc = await loadLibc()

function opened(content: Uint8Array, flags = 'r'): number {
  const fd = fs.openSync(scratchFile(content), flags)
  onTestFinished(() => fs.closeSync(fd))
  return fd
}

describe('a row of long requests', () => {
  const row = (gaps: boolean, ...requests: [number, number][]): boolean[] => {
    const long = new LongRow(gaps)
    return requests.map(([offset, bytes]) => long.continues(offset, bytes))
  }

  test('is a stream after 4 MiB', () => {
    expect(row(false, [0, 2 * MIB], [2 * MIB, 2 * MIB], [4 * MIB, 1])).toEqual([false, false, true])
  })

  test('may have gaps, or not', () => {
    const requests: [number, number][] = [[0, 2 * MIB], [3 * MIB, 2 * MIB], [6 * MIB, MIB], [0, MIB]]
    expect(row(true, ...requests)).toEqual([false, false, true, false])
    expect(row(false, ...requests)).toEqual([false, false, false, false])
  })

  test('is none if the requests are short; some in between elsewhere do not count', () => {
    expect(row(true, ...Array.from({ length: 200 }, (_, i): [number, number] => [i * 64 * KIB, 64 * KIB]))).not.toContain(true)
    expect(row(true, [0, 4 * MIB], [100 * MIB, 4096], [4 * MIB, MIB])).toEqual([false, false, true])
  })
})

describe.runIf(libc?.aio)('streams of long reads', () => {
  /** Reads on the host's thread, counted. */
  function ahead(fd: number, changes: { libc?: Partial<Libc>; aio?: Partial<Aio> } = {}) {
    const real = libc!.aio!
    const made = { reads: 0, waits: 0 }
    const aio: Aio = {
      ...real,
      read: (...args) => {
        made.reads++
        return (changes.aio?.read ?? real.read)(...args)
      },
      ...(changes.aio?.error ? { error: changes.aio.error } : {}),
      ...(changes.aio?.cancel ? { cancel: changes.aio.cancel } : {}),
      wait: async (block) => {
        made.waits++
        await (changes.aio?.wait ?? real.wait)(block)
      },
    }
    const it = new ReadAhead(fd, { ...libc!, ...changes.libc, aio }, aio)
    /** As if 4 MiB had been read. */
    const stream = (): void => expect(it.read(0, new Uint8Array(4 * MIB))).toBeNull()
    return { it, made, stream }
  }

  test('get what is in the file, and zeroes behind its end', async () => {
    const content = pattern(16 * MIB + 777)
    const io = new BufferedIo(opened(content), libc, clock)
    const got = new Uint8Array(20 * MIB).fill(0xee)
    const lengths = [MIB, 300 * KIB + 1, 700 * KIB, 512 * KIB]
    let at = 0
    let turn = 0
    await Promise.all(
      Array.from({ length: 5 }, async () => {
        while (at < got.length) {
          const from = at
          at = Math.min(got.length, from + lengths[turn++ % lengths.length]!)
          await io.read(from, got.subarray(from, at))
        }
      }),
    )
    const want = new Uint8Array(got.length)
    want.set(content)
    expectBytes(got, want)
  })

  test('see what was written meanwhile', async () => {
    const io = new BufferedIo(opened(pattern(12 * MIB), 'r+'), libc, clock)
    for (let i = 0; i < 12; i++) await io.read(i * MIB, new Uint8Array(MIB))
    await io.write(3 * MIB, new Uint8Array(MIB).fill(9))
    const parts = Array.from({ length: 12 }, () => new Uint8Array(MIB))
    await Promise.all(parts.map((part, i) => io.read(i * MIB, part)))
    expectBytes(parts[3]!, new Uint8Array(MIB).fill(9))
    expectBytes(parts[4]!, pattern(12 * MIB).subarray(4 * MIB, 5 * MIB))
  })

  test('are read elsewhere while several are in flight', async () => {
    const { it, made, stream } = ahead(opened(pattern(40 * MIB)))
    stream()
    for (let i = 4; i < 40; i += 2) await Promise.all([it.read(i * MIB, new Uint8Array(MIB)), it.read((i + 1) * MIB, new Uint8Array(MIB))])
    expect(made.reads).toBe(36)
  })

  test('are read by this thread, too, as long as it has nothing else to do', async () => {
    let here = 0
    let isBusy = true
    const content = pattern(12 * MIB)
    const { it, made, stream } = ahead(opened(content), {
      // The other thread gets nothing done.
      aio: { error: (block) => (isBusy ? constants.errno.EINPROGRESS : libc!.aio!.error(block)) },
      libc: {
        preadNowait: (fd, into, offset) => {
          if (into.length > 1) here++
          return libc!.preadNowait(fd, into, offset)
        },
      },
    })
    stream()
    const parts = Array.from({ length: 8 }, () => new Uint8Array(MIB))
    const ends = parts.map((part, i) => it.read((4 + i) * MIB, part))
    await Promise.all(ends.slice(3))
    expect([made.reads, here]).toEqual([3, 5])
    isBusy = false
    await Promise.all(ends)
    for (const [i, part] of parts.entries()) expectBytes(part, content.subarray((4 + i) * MIB, (5 + i) * MIB))
  })

  test('and by others, if the host would have to fetch them then, or takes no more', async () => {
    let given = 0
    const content = pattern(14 * MIB)
    const { it, stream } = ahead(opened(content), {
      aio: { read: (...args) => (++given > 3 ? -constants.errno.EAGAIN : libc!.aio!.read(...args)) },
      libc: { preadNowait: (_fd, into) => (into.length === 1 ? 1 : -constants.errno.EAGAIN) },
    })
    stream()
    const parts = Array.from({ length: 10 }, () => new Uint8Array(MIB))
    await Promise.all(parts.map((part, i) => it.read((4 + i) * MIB, part)))
    for (const [i, part] of parts.entries()) expectBytes(part, content.subarray((4 + i) * MIB, (5 + i) * MIB))
  })

  test('count as under way between two reads, too, until much is written', async () => {
    const { it, stream } = ahead(opened(pattern(8 * MIB)))
    stream()
    const reads = [it.read(4 * MIB, new Uint8Array(MIB)), it.read(5 * MIB, new Uint8Array(MIB))]
    expect(isReadingAhead(100 * MIB)).toBe(true)
    await Promise.all(reads)
    expect(isReadingAhead(MIB)).toBe(false)
    await it.read(6 * MIB, new Uint8Array(MIB))
    expect([isReadingAhead(MIB), isReadingAhead(31 * MIB), isReadingAhead(1)]).toEqual([true, true, false])
  })

  test('that end while others are given to the thread are no sign that it hangs', async () => {
    const content = pattern(16 * MIB)
    const parts = Array.from({ length: 9 }, () => new Uint8Array(MIB))
    const ends: (Promise<void> | null)[] = []
    const read = (from: number, to: number): void => {
      for (let i = from; i < to; i++) ends.push(it.read((4 + i) * MIB, parts[i]!))
    }
    let cancelled = 0
    let over = 0
    const { it, made, stream } = ahead(opened(content), {
      aio: {
        error: (block) => (over-- > 0 ? libc!.aio!.error(block) : constants.errno.EINPROGRESS),
        cancel: () => void cancelled++,
        wait: async (block) => {
          await libc!.aio!.wait(block)
          if (made.waits > 1) over = Infinity
          else {
            // Three are over, and there are more for the thread.
            read(3, 9)
            over = 3
          }
        },
      },
    })
    stream()
    read(0, 3)
    while (ends.length < 9) await new Promise((resolve) => setImmediate(resolve))
    await Promise.all(ends)
    expect(cancelled).toBe(0)
    for (const [i, part] of parts.entries()) expectBytes(part, content.subarray((4 + i) * MIB, (5 + i) * MIB))
  })

  test('are left alone in workers, which may be ended while a buffer is being filled', async () => {
    const module = new URL('../src/native/libc.ts', import.meta.url).href
    const code = `import(${JSON.stringify(module)}).then((m) => m.loadLibc()).then((it) => require('node:worker_threads').parentPort.postMessage([it !== null, it?.aio]))`
    const worker = new Worker(code, { eval: true })
    expect(await once(worker, 'message')).toEqual([[true, null]])
  })

  test('are left alone if whoever reads waits for each, for longer and longer', async () => {
    const { it, made, stream } = ahead(opened(pattern(40 * MIB)))
    stream()
    for (let i = 4; i < 40; i++) await it.read(i * MIB, new Uint8Array(MIB))
    // Four, four more after 16 MiB, and no others within 32 MiB.
    expect(made.reads).toBe(8)
  })

  test('of several files go to the same thread', async () => {
    const threads = (): number => fs.readdirSync('/proc/self/task').length
    const files = Array.from({ length: 6 }, (_, i) => ahead(opened(pattern(30 * MIB, i))))
    for (const { stream } of files) stream()
    const warm = files[0]!.it.read(4 * MIB, new Uint8Array(MIB))
    await warm
    const before = threads()
    const got = files.map(() => new Uint8Array(24 * MIB))
    for (let at = 5; at < 29; at += 4) {
      await Promise.all(files.flatMap(({ it }, i) => [0, 1, 2, 3].map((part) => it.read((at + part) * MIB, got[i]!.subarray((at + part - 5) * MIB, (at + part - 4) * MIB)))))
    }
    expect(threads()).toBeLessThanOrEqual(before)
    for (const [i, bytes] of got.entries()) expectBytes(bytes, pattern(30 * MIB, i).subarray(5 * MIB, 29 * MIB))
    expect(files.every(({ made }) => made.reads > 12)).toBe(true)
  })

  test('and if the host would have to fetch them', () => {
    const { it, made, stream } = ahead(opened(pattern(8 * MIB)), { libc: { preadNowait: () => -constants.errno.EAGAIN } })
    stream()
    expect(it.read(4 * MIB, new Uint8Array(MIB))).toBeNull()
    expect(it.read(5 * MIB, new Uint8Array(MIB))).toBeNull()
    expect(made.reads).toBe(0)
  })

  test('or if it takes no more requests', () => {
    const { it, stream } = ahead(opened(pattern(8 * MIB)), { aio: { read: () => -constants.errno.EAGAIN } })
    stream()
    expect(it.read(4 * MIB, new Uint8Array(MIB))).toBeNull()
  })

  test('fail with the error of the host', async () => {
    const path = scratchFile(pattern(8 * MIB))
    const fd = fs.openSync(path, 'w')
    onTestFinished(() => fs.closeSync(fd))
    const { it, stream } = ahead(fd, { libc: { preadNowait: () => 1 } })
    stream()
    const results = await Promise.allSettled([4, 5].map((i) => it.read(i * MIB, new Uint8Array(MIB))))
    expect(results.map((result) => (result.status === 'rejected' ? (result.reason as NodeJS.ErrnoException).code : 'read'))).toEqual(['EBADF', 'EBADF'])
  })

  test('that take long are waited for without asking again and again', async () => {
    let isOver = false
    const { it, made, stream } = ahead(opened(pattern(8 * MIB)), {
      aio: {
        error: (block) => (isOver ? libc!.aio!.error(block) : constants.errno.EINPROGRESS),
        wait: async (block) => {
          await libc!.aio!.wait(block)
          isOver = true
        },
      },
    })
    stream()
    const into = new Uint8Array(MIB)
    await it.read(4 * MIB, into)
    expectBytes(into, pattern(8 * MIB).subarray(4 * MIB, 5 * MIB))
    expect(made.waits).toBe(1)
  })
})
