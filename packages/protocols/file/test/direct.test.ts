import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { close, expectBytes, nativeDriver, onLinux, open, pattern, read, refusal, scratchFile } from './scratch.ts'

const MiB = 1048576
const plain = { locking: 'auto', aio: 'threads' } as const

/** `tmpfs` and some others have no O_DIRECT. */
function hostHasDirect(): boolean {
  if (!onLinux) return false
  const folder = fs.mkdtempSync(join(tmpdir(), 'blockloom-direct-'))
  const path = join(folder, 'x')
  fs.writeFileSync(path, '')
  try {
    fs.closeSync(fs.openSync(path, fs.constants.O_RDWR + fs.constants.O_DIRECT))
    return true
  } catch {
    return false
  } finally {
    fs.rmSync(folder, { recursive: true })
  }
}

describe.runIf(hostHasDirect())('cache.direct', () => {
  test('wants alignment, and takes any buffer', async () => {
    const content = pattern(4 * MiB)
    const path = scratchFile(content)
    const image = await open(nativeDriver, path, { 'cache.direct': true })
    const align = image.limits.requestAlignment
    expect([512, 1024, 2048, 4096]).toContain(align)
    expect(image.limits.memoryAlignment).toBe(4096)
    expectBytes(await read(image, align, 3 * MiB), content.subarray(align, align + 3 * MiB))
    const odd = new Uint8Array(8 * align + 1).subarray(1)
    await image.read(2 * align, odd, 0)
    expectBytes(odd, content.subarray(2 * align, 10 * align))
    odd.fill(7)
    await image.writer!.write(MiB, odd, 0)
    await image.writer!.write(4 * MiB, pattern(3 * MiB), 0)
    await image.writer!.flush('stable')
    const written = fs.readFileSync(path)
    expectBytes(written.subarray(MiB, MiB + 8 * align), new Uint8Array(8 * align).fill(7))
    expectBytes(written.subarray(4 * MiB), pattern(3 * MiB))
    expect(image.size()).toBe(7 * MiB)
  })

  test('many requests share few buffers', async () => {
    const content = pattern(4 * MiB)
    const image = await open(nativeDriver, scratchFile(content), { 'cache.direct': true })
    const pieces = await Promise.all(Array.from({ length: 64 }, (_, i) => read(image, i * 65536, 65536)))
    pieces.forEach((piece, i) => expectBytes(piece, content.subarray(i * 65536, (i + 1) * 65536)))
  })

  test('reads zeroes behind a ragged end, and preallocates up to one', async () => {
    const path = scratchFile(pattern(1000))
    const image = await open(nativeDriver, path, { 'cache.direct': true })
    expectBytes(await read(image, 0, 4096), Uint8Array.from([...pattern(1000), ...new Uint8Array(3096)]))
    await image.resize!.resize(3 * MiB + 100, { preallocation: 'full', zeroFill: true })
    expectBytes(fs.readFileSync(path), Uint8Array.from([...pattern(1000), ...new Uint8Array(3 * MiB - 900)]))
  })

  test('zeroes past the end, and tells extents in whole blocks', async () => {
    const path = scratchFile(0)
    const image = await open(nativeDriver, path, { 'cache.direct': true })
    await image.writer!.write(0, pattern(4096), 0)
    expect(await image.zero!(8192, 8192, 0x02)).toBe('done')
    expect(fs.statSync(path).size).toBe(16384)
    fs.truncateSync(path, 16000)
    expect(await image.extents!(0, 16384)).toMatchObject({ kind: 'data', bytes: 4096 })
    expectBytes(fs.readFileSync(path), Uint8Array.from([...pattern(4096), ...new Uint8Array(16000 - 4096)]))
  })

  test('is switched by a reopen, even if the file is called something else now', async () => {
    const path = scratchFile(pattern(8192))
    const image = await open(nativeDriver, path)
    fs.renameSync(path, `${path}.moved`)
    fs.writeFileSync(path, 'another')
    expect(image.limits.requestAlignment).toBe(1)
    await (await image.reopen!({ ...plain, filename: path, cache: { direct: true, 'no-flush': false } })).abort()
    expect(image.limits.requestAlignment).toBe(1)
    await (await image.reopen!({ ...plain, filename: path, cache: { direct: true, 'no-flush': false } })).commit()
    expect(image.limits.requestAlignment).toBeGreaterThan(1)
    expectBytes(await read(image, 4096, 4096), pattern(8192).subarray(4096))
    await (await image.reopen!({ ...plain, filename: path })).commit()
    await image.writer!.write(1, Uint8Array.of(9), 0)
    expect(fs.readFileSync(`${path}.moved`)[1]).toBe(9)
    await expect(image.reopen!({ ...plain, filename: `${path}.moved` })).rejects.toEqual(refusal('invalid'))
  })

  test('leaves no descriptors open', async () => {
    const count = () => fs.readdirSync('/proc/self/fd').length
    const path = scratchFile(pattern(8192))
    const before = count()
    const image = await open(nativeDriver, path)
    for (const direct of [true, false]) await (await image.reopen!({ ...plain, filename: path, cache: { direct, 'no-flush': true } })).commit()
    await (await image.reopen!({ ...plain, filename: path, cache: { direct: true, 'no-flush': true } })).abort()
    await close(image)
    await expect(open(nativeDriver, path, { locking: 'on', cache: { direct: true } }).then(close)).resolves.toBeUndefined()
    expect(count()).toBe(before)
  })
})
